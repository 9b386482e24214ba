import { describeCollateralMutants } from '../../../test/support/collateral-mutants.ts'

describeCollateralMutants('dcapqvl-tdx_quote-v4', 'dcapqvl-tdx-b0c06f-2025-06', '2025-06-20T00:00:00Z')
