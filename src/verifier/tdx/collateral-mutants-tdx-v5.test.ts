import { describeCollateralMutants } from '../../../test/support/collateral-mutants.ts'

describeCollateralMutants('gotdx-v5-sample', 'gotdxv5-tdx-90c06f-2026-02', '2026-02-25T00:00:00Z')
