import type { ShippedPolicy } from './shipped-policy.ts'

export const tdxDefault: ShippedPolicy = {
  name: 'attestd-default-tdx-v1',
  permits: 'A TD in production mode on a platform whose TCB is in order, over report data of this request.',
  text: `version=1.2;
// attestd-default-tdx-v1: a production TD on an up-to-date platform, bound to this request.
authorizationrules
{
    [type=="attestation.simulated", value==true, issuer=="AttestationService"] => deny();
    [type=="tdx.td_attributes.debug", value==true, issuer=="AttestationService"] => deny();
    [type=="tdx.report_data_bound", value==false, issuer=="AttestationService"] => deny();
    [type=="tdx.eventlog_verified", value==false, issuer=="AttestationService"] => deny();
    [type=="tdx.collateral_expiration_status", value=="1", issuer=="AttestationService"] => deny();

    [type=="tdx.tcb_status", value=="UpToDate", issuer=="AttestationService"] => add(type="tcbOk", value=true);
    [type=="tdx.tcb_status", value=="SWHardeningNeeded", issuer=="AttestationService"] => add(type="tcbOk", value=true);

    [type=="attestation.simulated", value==false, issuer=="AttestationService"] &&
    [type=="tcbOk", value==true, issuer=="AttestationPolicy"] &&
    [type=="tdx.td_attributes.debug", value==false, issuer=="AttestationService"] &&
    [type=="tdx.report_data_bound", value==true, issuer=="AttestationService"] => permit();
};
issuancerules
{
    => issue(type="policy-name", value="attestd-default-tdx-v1");
};
`,
}

export const tdxGpuDefault: ShippedPolicy = {
  name: 'attestd-default-tdx-gpu-v1',
  permits: 'The same with at least one GPU; each is verified, measured, not in debug mode and bound to the TD.',
  text: `version=1.2;
// attestd-default-tdx-gpu-v1: attestd-default-tdx-v1 plus at least one GPU, every GPU measured, not in debug mode and bound to this TD.
authorizationrules
{
    [type=="attestation.simulated", value==true, issuer=="AttestationService"] => deny();
    [type=="tdx.td_attributes.debug", value==true, issuer=="AttestationService"] => deny();
    [type=="tdx.report_data_bound", value==false, issuer=="AttestationService"] => deny();
    [type=="tdx.eventlog_verified", value==false, issuer=="AttestationService"] => deny();
    [type=="tdx.collateral_expiration_status", value=="1", issuer=="AttestationService"] => deny();
    [type=="gpu.debug", value==true, issuer=="AttestationService"] => deny();
    [type=="gpu.verified", value==false, issuer=="AttestationService"] => deny();
    [type=="gpu.measurements_matched", value==false, issuer=="AttestationService"] => deny();
    [type=="gpu.binding", value!="transcript", issuer=="AttestationService"] => deny();
    [type=="gpu.rim", value!="full", issuer=="AttestationService"] => deny();

    [type=="tdx.tcb_status", value=="UpToDate", issuer=="AttestationService"] => add(type="tcbOk", value=true);
    [type=="tdx.tcb_status", value=="SWHardeningNeeded", issuer=="AttestationService"] => add(type="tcbOk", value=true);

    [type=="attestation.simulated", value==false, issuer=="AttestationService"] &&
    [type=="tcbOk", value==true, issuer=="AttestationPolicy"] &&
    [type=="tdx.td_attributes.debug", value==false, issuer=="AttestationService"] &&
    [type=="tdx.report_data_bound", value==true, issuer=="AttestationService"] &&
    [type=="gpu.count", value >= 1, issuer=="AttestationService"] &&
    [type=="gpu.verified", value==true, issuer=="AttestationService"] &&
    [type=="gpu.measurements_matched", value==true, issuer=="AttestationService"] &&
    [type=="gpu.debug", value==false, issuer=="AttestationService"] &&
    [type=="gpu.rim", value=="full", issuer=="AttestationService"] &&
    [type=="gpu.binding", value=="transcript", issuer=="AttestationService"] => permit();
};
issuancerules
{
    => issue(type="policy-name", value="attestd-default-tdx-gpu-v1");
    c:[type=="gpu.count", issuer=="AttestationService"] => issue(type="gpu-count", value=c.value);
};
`,
}

export const sgxDefault: ShippedPolicy = {
  name: 'attestd-default-sgx-v1',
  permits: 'An enclave that is not in debug mode.',
  text: `version=1.1;
// attestd-default-sgx-v1: a release enclave; production use should also pin MRSIGNER, product id and SVN.
authorizationrules
{
    [type=="x-ms-sgx-is-debuggable", value==true, issuer=="AttestationService"] => deny();
    [type=="x-ms-sgx-is-debuggable", value==false, issuer=="AttestationService"] => permit();
};
issuancerules
{
    => issue(type="policy-name", value="attestd-default-sgx-v1");
};
`,
}

export const denyAll: ShippedPolicy = {
  name: 'attestd-deny-all-v1',
  permits: 'Nothing.',
  text: `version=1.0;
// attestd-deny-all-v1: used for every attestation type without a policy of its own.
authorizationrules
{
    => deny();
};
issuancerules
{
};
`,
}
