import type { ShippedPolicy } from './shipped-policy.ts'

export const tdxTpmDefault: ShippedPolicy = {
  name: 'attestd-default-tdx-tpm-v1',
  permits: 'What the defaults of TDs and of TPMs permit, both at once.',
  text: `version=1.2;
// attestd-default-tdx-tpm-v1: attestd-default-tdx-v1 and attestd-default-tpm-v1 at once, of one guest.
configurationrules
{
    => issueproperty(type="require_valid_aik_cert", value=true);
    => issueproperty(type="required_pcr_mask", value=255);
};
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
    [type=="tdx.report_data_bound", value==true, issuer=="AttestationService"] &&
    [type=="tpm.ak_trusted", value==true, issuer=="AttestationService"] &&
    [type=="tpm.nonce_matched", value==true, issuer=="AttestationService"] &&
    [type=="tpm.eventlog_verified", value==true, issuer=="AttestationService"] => permit();
};
issuancerules
{
    => issue(type="policy-name", value="attestd-default-tdx-tpm-v1");
    c:[type=="tpm.secure_boot", issuer=="AttestationService"] => issue(type="secure-boot", value=c.value);
    ![type=="secure-boot", issuer=="AttestationPolicy"] => issue(type="secure-boot", value=false);
};
`,
}

export const tdxTpmImaDefault: ShippedPolicy = {
  name: 'attestd-default-tdx-tpm-ima-v1',
  permits: 'The same with the IMA log.',
  text: `version=1.2;
// attestd-default-tdx-tpm-ima-v1: attestd-default-tdx-v1 and attestd-default-tpm-ima-v1 at once, of one guest.
configurationrules
{
    => issueproperty(type="require_valid_aik_cert", value=true);
    => issueproperty(type="required_pcr_mask", value=1279);
};
authorizationrules
{
    [type=="attestation.simulated", value==true, issuer=="AttestationService"] => deny();
    [type=="tdx.td_attributes.debug", value==true, issuer=="AttestationService"] => deny();
    [type=="tdx.report_data_bound", value==false, issuer=="AttestationService"] => deny();
    [type=="tdx.eventlog_verified", value==false, issuer=="AttestationService"] => deny();
    [type=="tdx.collateral_expiration_status", value=="1", issuer=="AttestationService"] => deny();
    [type=="ima.violation_count", value > 0, issuer=="AttestationService"] => deny();
    [type=="ima.not_allowed_count", value > 0, issuer=="AttestationService"] => deny();

    [type=="tdx.tcb_status", value=="UpToDate", issuer=="AttestationService"] => add(type="tcbOk", value=true);
    [type=="tdx.tcb_status", value=="SWHardeningNeeded", issuer=="AttestationService"] => add(type="tcbOk", value=true);

    [type=="attestation.simulated", value==false, issuer=="AttestationService"] &&
    [type=="tcbOk", value==true, issuer=="AttestationPolicy"] &&
    [type=="tdx.td_attributes.debug", value==false, issuer=="AttestationService"] &&
    [type=="tdx.report_data_bound", value==true, issuer=="AttestationService"] &&
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
    => issue(type="policy-name", value="attestd-default-tdx-tpm-ima-v1");
    c:[type=="tpm.secure_boot", issuer=="AttestationService"] => issue(type="secure-boot", value=c.value);
    ![type=="secure-boot", issuer=="AttestationPolicy"] => issue(type="secure-boot", value=false);
};
`,
}
