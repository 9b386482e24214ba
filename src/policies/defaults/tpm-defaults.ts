import type { ShippedPolicy } from './shipped-policy.ts'

export const tpmDefault: ShippedPolicy = {
  name: 'attestd-default-tpm-v1',
  permits: 'A trusted attestation key, a fresh quote of PCR 0 to 7, and an event log that leads to it.',
  text: `version=1.2;
// attestd-default-tpm-v1: trusted attestation key, PCR 0-7 quoted, firmware log replayed.
configurationrules
{
    => issueproperty(type="require_valid_aik_cert", value=true);
    => issueproperty(type="required_pcr_mask", value=255);
};
authorizationrules
{
    [type=="attestation.simulated", value==true, issuer=="AttestationService"] => deny();

    [type=="attestation.simulated", value==false, issuer=="AttestationService"] &&
    [type=="tpm.ak_trusted", value==true, issuer=="AttestationService"] &&
    [type=="tpm.nonce_matched", value==true, issuer=="AttestationService"] &&
    [type=="tpm.eventlog_verified", value==true, issuer=="AttestationService"] => permit();
};
issuancerules
{
    => issue(type="policy-name", value="attestd-default-tpm-v1");
    c:[type=="tpm.secure_boot", issuer=="AttestationService"] => issue(type="secure-boot", value=c.value);
    ![type=="secure-boot", issuer=="AttestationPolicy"] => issue(type="secure-boot", value=false);
};
`,
}

export const tpmImaDefault: ShippedPolicy = {
  name: 'attestd-default-tpm-ima-v1',
  permits: 'The same with PCR 10 and an IMA log without violations or files that are not allowed.',
  text: `version=1.2;
// attestd-default-tpm-ima-v1: attestd-default-tpm-v1 plus a clean, allow-listed IMA log.
configurationrules
{
    => issueproperty(type="require_valid_aik_cert", value=true);
    => issueproperty(type="required_pcr_mask", value=1279);
};
authorizationrules
{
    [type=="attestation.simulated", value==true, issuer=="AttestationService"] => deny();
    [type=="ima.violation_count", value > 0, issuer=="AttestationService"] => deny();
    [type=="ima.not_allowed_count", value > 0, issuer=="AttestationService"] => deny();

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
    => issue(type="policy-name", value="attestd-default-tpm-ima-v1");
    c:[type=="tpm.secure_boot", issuer=="AttestationService"] => issue(type="secure-boot", value=c.value);
    ![type=="secure-boot", issuer=="AttestationPolicy"] => issue(type="secure-boot", value=false);
};
`,
}
