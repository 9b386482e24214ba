import { describeCollateralMutants } from '../../../test/support/collateral-mutants.ts'

describeCollateralMutants('dcapqvl-sgx_quote-v3', 'dcapqvl-sgx-00a067-2025-06', '2025-06-20T00:00:00Z')
