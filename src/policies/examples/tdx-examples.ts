import type { ShippedPolicy } from '../defaults/shipped-policy.ts'

export const firstPolicy: ShippedPolicy = {
  name: 'first-policy',
  permits: 'A TD that is neither simulated nor in debug mode: where to begin.',
  text: `version=1.2;
// A first policy, for a TDX guest. Change it, look at it with "attestd policy check", try it with "attestd policy explain".
//
// A rule has conditions, an arrow and an action. A condition in brackets looks for a claim with these properties; docs/policy-claims.md
// lists all claims. Rules whose conditions all hold do what they say. In the end the answer is yes if a rule permitted and no rule
// denied. Always test the issuer: a claim with the issuer CustomClaim is what the guest says of itself.
authorizationrules
{
    // What never gets a token. To try the policy with the simulator, delete the next line and the first condition of the last rule.
    [type=="attestation.simulated", value==true, issuer=="AttestationService"] => deny();
    [type=="tdx.td_attributes.debug", value==true, issuer=="AttestationService"] => deny();

    // What gets one. Join conditions by && if all of them must hold; write another rule for each alternative.
    [type=="attestation.simulated", value==false, issuer=="AttestationService"] &&
    [type=="tdx.td_attributes.debug", value==false, issuer=="AttestationService"] &&
    [type=="tdx.report_data_bound", value==true, issuer=="AttestationService"] => permit();
};
issuancerules
{
    // What relying parties find in the token beside the usual claims. The names are yours.
    => issue(type="policy-name", value="first-policy");
    c:[type=="tdx.quote.body.mr_td", issuer=="AttestationService"] => issue(type="image", value=c.value);
};
`,
}

export const tdxBaseline: ShippedPolicy = {
  name: 'tdx-baseline',
  permits:
    'A TD in production mode on a platform that needs no more than software hardening, with an event log that holds.',
  text: `version=1.2;
// TDX baseline: whatever image runs, the platform is genuine and maintained, and the evidence is of this request.
authorizationrules
{
    [type=="attestation.simulated", value==true, issuer=="AttestationService"] => deny();
    [type=="tdx.td_attributes.debug", value==true, issuer=="AttestationService"] => deny();
    [type=="tdx.report_data_bound", value==false, issuer=="AttestationService"] => deny();
    // A log that does not lead to the registers; a TD without a log is not denied.
    [type=="tdx.eventlog_verified", value==false, issuer=="AttestationService"] => deny();
    // Revocation lists that have expired and are used under a grace period.
    [type=="tdx.collateral_expiration_status", value=="1", issuer=="AttestationService"] => deny();

    // Acceptable states of the platform, one rule for each. OutOfDate is not among them.
    [type=="tdx.tcb_status", value=="UpToDate", issuer=="AttestationService"] => add(type="tcbOk", value=true);
    [type=="tdx.tcb_status", value=="SWHardeningNeeded", issuer=="AttestationService"] => add(type="tcbOk", value=true);

    [type=="attestation.simulated", value==false, issuer=="AttestationService"] &&
    [type=="tcbOk", value==true, issuer=="AttestationPolicy"] &&
    [type=="tdx.td_attributes.debug", value==false, issuer=="AttestationService"] &&
    [type=="tdx.report_data_bound", value==true, issuer=="AttestationService"] => permit();
};
issuancerules
{
    => issue(type="policy-name", value="tdx-baseline");
    s:[type=="tdx.tcb_status", issuer=="AttestationService"] => issue(type="platform-status", value=s.value);
    a:[type=="tdx.advisory_ids", issuer=="AttestationService"] => issue(type="advisories", value=a.value);
};
`,
}

const pinned = '0'.repeat(96)

export const tdxStrict: ShippedPolicy = {
  name: 'tdx-strict',
  permits: 'One image, with pinned measurements, on platforms that are up to date; put your measurements in first.',
  text: `version=1.2;
// TDX strict: pinned measurements, no debug mode, a platform that is up to date and an event log that holds.
// Put the values of your image in place of the zeros: "attestd inspect" shows them for a quote. Until then nothing is permitted.
authorizationrules
{
    [type=="attestation.simulated", value==true, issuer=="AttestationService"] => deny();
    [type=="tdx.td_attributes.debug", value==true, issuer=="AttestationService"] => deny();
    [type=="tdx.td_attributes.perfmon", value==true, issuer=="AttestationService"] => deny();
    [type=="tdx.tcb_status", value!="UpToDate", issuer=="AttestationService"] => deny();
    [type=="tdx.tcb_status_current", value!="UpToDate", issuer=="AttestationService"] => deny();
    [type=="tdx.collateral_expiration_status", value!="0", issuer=="AttestationService"] => deny();

    // Firmware and initial contents.
    [type=="tdx.quote.body.mr_td", value=="${pinned}", issuer=="AttestationService"]
        => add(type="firmwareOk", value=true);
    // Boot loader and kernel: a list, so that an update can be rolled out before the old build is taken off it.
    => add(type="kernels", value=JsonToClaimValue("[\\"${pinned}\\"]"));
    r:[type=="tdx.quote.body.rtmr_1", issuer=="AttestationService"] && k:[type=="kernels", issuer=="AttestationPolicy"]
        => add(type="kernelOk", value=IsSubsetOf(r.value, k.value));
    // Command line and what the boot loader read.
    [type=="tdx.quote.body.rtmr_2", value=="${pinned}", issuer=="AttestationService"]
        => add(type="bootOk", value=true);

    [type=="attestation.simulated", value==false, issuer=="AttestationService"] &&
    [type=="tdx.td_attributes.debug", value==false, issuer=="AttestationService"] &&
    [type=="tdx.td_attributes.septve_disable", value==true, issuer=="AttestationService"] &&
    [type=="tdx.tcb_status", value=="UpToDate", issuer=="AttestationService"] &&
    [type=="tdx.report_data_bound", value==true, issuer=="AttestationService"] &&
    [type=="tdx.eventlog_verified", value==true, issuer=="AttestationService"] &&
    [type=="firmwareOk", value==true, issuer=="AttestationPolicy"] &&
    [type=="kernelOk", value==true, issuer=="AttestationPolicy"] &&
    [type=="bootOk", value==true, issuer=="AttestationPolicy"] => permit();
};
issuancerules
{
    => issue(type="policy-name", value="tdx-strict");
    c:[type=="tdx.quote.body.rtmr_1", issuer=="AttestationService"] => issue(type="kernel", value=c.value);
};
`,
}

export const gpuConfidentialComputing: ShippedPolicy = {
  name: 'gpu-confidential-computing',
  permits: 'A TD with GPUs in confidential-computing mode, with drivers from a list.',
  text: `version=1.2;
// GPU confidential computing: every GPU is verified against complete reference manifests, bound to this TD, in a protected mode,
// not in debug mode, and runs a driver from the list.
authorizationrules
{
    [type=="attestation.simulated", value==true, issuer=="AttestationService"] => deny();
    [type=="tdx.td_attributes.debug", value==true, issuer=="AttestationService"] => deny();
    // One bad device among several is enough.
    [type=="gpu.debug", value==true, issuer=="AttestationService"] => deny();
    [type=="gpu.verified", value==false, issuer=="AttestationService"] => deny();
    [type=="gpu.measurements_matched", value==false, issuer=="AttestationService"] => deny();

    // A device that does not say is not among the values: hence the conditions on "gpu.debug" and the like below.
    d:[type=="gpu.driver_version", issuer=="AttestationService"]
        => add(type="driversOk", value=IsSubsetOf(d.value, JsonToClaimValue("[\\"550.90.07\\", \\"570.124.06\\"]")));
    m:[type=="gpu.mode", issuer=="AttestationService"]
        => add(type="modesOk", value=IsSubsetOf(m.value, JsonToClaimValue("[\\"SPT\\", \\"MPT\\"]")));

    [type=="attestation.simulated", value==false, issuer=="AttestationService"] &&
    [type=="tdx.td_attributes.debug", value==false, issuer=="AttestationService"] &&
    [type=="tdx.report_data_bound", value==true, issuer=="AttestationService"] &&
    [type=="tdx.tcb_status", value=="UpToDate", issuer=="AttestationService"] &&
    [type=="gpu.count", value >= 1, issuer=="AttestationService"] &&
    [type=="gpu.verified", value==true, issuer=="AttestationService"] &&
    [type=="gpu.measurements_matched", value==true, issuer=="AttestationService"] &&
    [type=="gpu.debug", value==false, issuer=="AttestationService"] &&
    [type=="gpu.rim", value=="full", issuer=="AttestationService"] &&
    [type=="gpu.binding", value=="transcript", issuer=="AttestationService"] &&
    [type=="driversOk", value==true, issuer=="AttestationPolicy"] &&
    [type=="modesOk", value==true, issuer=="AttestationPolicy"] => permit();
};
issuancerules
{
    => issue(type="policy-name", value="gpu-confidential-computing");
    n:[type=="gpu.count", issuer=="AttestationService"] => issue(type="gpu-count", value=n.value);
    u:[type=="gpu.driver_version", issuer=="AttestationService"] => issue(type="gpu-drivers", value=u.value);
};
`,
}
