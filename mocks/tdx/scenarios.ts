import type { Collateral } from '../../src/endorsements/tdx/collateral.ts'
import type { QuoteCheckId, VerdictClass } from '../../src/verifier/tdx/checks.ts'
import type { PlatformTcbStatus } from '../../src/verifier/tdx/inputs.ts'
import type { CollateralOptions } from './collateral.ts'
import type { QuoteOptions } from './quotes.ts'
import { collateralScenarios, quoteScenarios } from './scenarios-refused.ts'
import { healthyScenarios, statusScenarios } from './scenarios-verified.ts'
import type { SimulatedTdx } from './simulator.ts'

/**
 * One knob of TDX-283, turned: what the machine and its maker do, and what a verifier must say of it under the
 * simulator's root with the default policy, the expected report data, and simulated quotes waived through.
 */
export interface Scenario {
  readonly name: string
  /** Rules of tdx.md that it is about. */
  readonly rules: readonly string[]
  readonly quote?: Omit<QuoteOptions, 'reportData'>
  readonly collateral?: CollateralOptions
  /** Changes the bytes of the finished quote. */
  readonly damage?: (quote: Uint8Array) => Uint8Array
  /** For collateral that takes parts of another. */
  readonly mixed?: (sim: SimulatedTdx) => Partial<Collateral>
  readonly expected: ScenarioVerdict
}

export interface ScenarioVerdict {
  readonly class: VerdictClass
  /** Null where the quote is not verified. */
  readonly status: PlatformTcbStatus | null
  /** Where they are not what `status` says. */
  readonly launch?: PlatformTcbStatus
  readonly current?: PlatformTcbStatus
  readonly advisoryIds?: readonly string[]
  /** The checks that fail, all of them, whether of the core or of the policy. */
  readonly failed: readonly QuoteCheckId[]
}

export interface SimulatedScenario {
  readonly name: string
  readonly rules: readonly string[]
  readonly quote: Uint8Array
  readonly collateral: Collateral
  readonly expected: ScenarioVerdict
}

/** `now`: milliseconds since the epoch; what is expired or not yet valid is so around it. */
export function scenarios(now: number): Scenario[] {
  return [...healthyScenarios(now), ...statusScenarios(), ...collateralScenarios(now), ...quoteScenarios(now)]
}

/** Makes the quote over `reportData` and the collateral of a scenario. */
export function stage(sim: SimulatedTdx, scenario: Scenario, reportData: Uint8Array): SimulatedScenario {
  const { name, rules, expected, damage = (quote: Uint8Array) => quote, mixed } = scenario
  const collateral = { ...sim.collateral(scenario.collateral), ...mixed?.(sim) }
  return { name, rules, expected, collateral, quote: damage(sim.quote({ reportData, ...scenario.quote })) }
}
