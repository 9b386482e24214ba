import type { ShippedPolicy } from '../defaults/shipped-policy.ts'

export const tpmSecureBoot: ShippedPolicy = {
  name: 'tpm-secure-boot',
  permits: 'A machine with a trusted TPM that booted with secure boot, by keys that are known.',
  text: `version=1.2;
// vTPM with secure boot: a genuine TPM quoted PCR 0 to 7 for this request, the firmware log leads to them, and secure boot is on.
configurationrules
{
    => issueproperty(type="require_valid_aik_cert", value=true);
    // PCR 0 to 7.
    => issueproperty(type="required_pcr_mask", value=255);
};
authorizationrules
{
    [type=="attestation.simulated", value==true, issuer=="AttestationService"] => deny();
    [type=="tpm.secure_boot", value==false, issuer=="AttestationService"] => deny();
    // Whoever boots in setup mode can enrol keys of their own.
    [type=="tpm.setup_mode", value==true, issuer=="AttestationService"] => deny();
    // Something that no known key vouched for was started, or hides behind another event.
    [type=="tpm.eventlog.authorities", value=="unknown", issuer=="AttestationService"] => deny();

    [type=="attestation.simulated", value==false, issuer=="AttestationService"] &&
    [type=="tpm.ak_trusted", value==true, issuer=="AttestationService"] &&
    [type=="tpm.nonce_matched", value==true, issuer=="AttestationService"] &&
    [type=="tpm.eventlog_verified", value==true, issuer=="AttestationService"] &&
    [type=="tpm.secure_boot", value==true, issuer=="AttestationService"] &&
    [type=="tpm.setup_mode", value==false, issuer=="AttestationService"] => permit();
};
issuancerules
{
    => issue(type="policy-name", value="tpm-secure-boot");
    => issue(type="secure-boot", value=true);
    c:[type=="tpm.kernel_cmdline", issuer=="AttestationService"] => issue(type="kernel-cmdline", value=c.value);
};
`,
}

export const tpmImaAllowList: ShippedPolicy = {
  name: 'tpm-ima-allow-list',
  permits: 'A machine with a trusted TPM on which only files of the reference values ran.',
  text: `version=1.2;
// vTPM with IMA: besides the boot, every file that the kernel measured is in the allow list. The list itself are the reference values
// of the verifier ("attestd reference"): without them there is no claim ima.not_allowed_count, and nothing is permitted.
configurationrules
{
    => issueproperty(type="require_valid_aik_cert", value=true);
    // PCR 0 to 7, and PCR 10 of IMA.
    => issueproperty(type="required_pcr_mask", value=1279);
};
authorizationrules
{
    [type=="attestation.simulated", value==true, issuer=="AttestationService"] => deny();
    [type=="ima.violation_count", value > 0, issuer=="AttestationService"] => deny();
    [type=="ima.not_allowed_count", value > 0, issuer=="AttestationService"] => deny();
    [type=="ima.signature_invalid_count", value > 0, issuer=="AttestationService"] => deny();
    [type=="ima.unknown_template_count", value > 0, issuer=="AttestationService"] => deny();
    // Values padded from SHA-1 have its strength.
    [type=="ima.sha1_padded", value==true, issuer=="AttestationService"] => deny();
    // The kernel was replaced without a reboot.
    [type=="ima.kexec_count", value > 0, issuer=="AttestationService"] => deny();

    [type=="attestation.simulated", value==false, issuer=="AttestationService"] &&
    [type=="tpm.ak_trusted", value==true, issuer=="AttestationService"] &&
    [type=="tpm.nonce_matched", value==true, issuer=="AttestationService"] &&
    [type=="tpm.eventlog_verified", value==true, issuer=="AttestationService"] &&
    [type=="ima.verified", value==true, issuer=="AttestationService"] &&
    [type=="ima.boot_aggregate_matched", value==true, issuer=="AttestationService"] &&
    [type=="ima.violation_count", value==0, issuer=="AttestationService"] &&
    [type=="ima.not_allowed_count", value==0, issuer=="AttestationService"] => permit();
};
issuancerules
{
    => issue(type="policy-name", value="tpm-ima-allow-list");
    n:[type=="ima.entry_count", issuer=="AttestationService"] => issue(type="measured-files", value=n.value);
};
`,
}

export const compositeTdxTpm: ShippedPolicy = {
  name: 'composite-tdx-tpm',
  permits: 'A TD with a vTPM, both in order and bound to one request.',
  text: `version=1.2;
// Composite: the TD says what hardware it is, the vTPM what was booted. The verifier has shown that both belong to one guest before
// any rule runs; this policy asks that both are there, and that each is in order.
configurationrules
{
    => issueproperty(type="require_valid_aik_cert", value=true);
    => issueproperty(type="required_pcr_mask", value=255);
};
authorizationrules
{
    [type=="attestation.simulated", value==true, issuer=="AttestationService"] => deny();
    [type=="tdx.td_attributes.debug", value==true, issuer=="AttestationService"] => deny();
    [type=="tdx.collateral_expiration_status", value=="1", issuer=="AttestationService"] => deny();
    [type=="tpm.secure_boot", value==false, issuer=="AttestationService"] => deny();

    // Evidence over a challenge of the verifier is new; over a nonce of the caller it is as new as the caller made it.
    [type=="attestation.freshness", value=="unbound", issuer=="AttestationService"] => deny();

    [type=="evidence.kinds", value=="tdx", issuer=="AttestationService"] &&
    [type=="evidence.kinds", value=="tpm", issuer=="AttestationService"] => add(type="bothThere", value=true);

    [type=="attestation.simulated", value==false, issuer=="AttestationService"] &&
    [type=="bothThere", value==true, issuer=="AttestationPolicy"] &&
    [type=="tdx.td_attributes.debug", value==false, issuer=="AttestationService"] &&
    [type=="tdx.tcb_status", value=="UpToDate", issuer=="AttestationService"] &&
    [type=="tdx.report_data_bound", value==true, issuer=="AttestationService"] &&
    [type=="tpm.ak_trusted", value==true, issuer=="AttestationService"] &&
    [type=="tpm.nonce_matched", value==true, issuer=="AttestationService"] &&
    [type=="tpm.eventlog_verified", value==true, issuer=="AttestationService"] &&
    [type=="tpm.secure_boot", value==true, issuer=="AttestationService"] => permit();
};
issuancerules
{
    => issue(type="policy-name", value="composite-tdx-tpm");
    t:[type=="tpm.ak_trust", issuer=="AttestationService"] => issue(type="tpm-trust", value=t.value);
};
`,
}
