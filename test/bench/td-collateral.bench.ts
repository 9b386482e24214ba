import { createCollateralSource } from '../../src/endorser/tdx/collateral-source.ts'
import { createPccsSource } from '../../src/endorser/tdx/pccs-source.ts'
import { authenticateCollateralItem } from '../../src/verifier/index.ts'
import { FakePccs, FakeStore, rigBase, rigNow, rigPki, rigQuery } from '../support/collateral-rig.ts'
import { compare, comparison } from '../support/comparison.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { seededRandom } from '../support/seeded-random.ts'

comparison('collateral from memory', async () => {
  const clock = new FakeClock(rigNow)
  const random = seededRandom(7)
  const { signal } = new AbortController()
  const trustAnchors = [rigPki.anchor]
  const sources = [createPccsSource({ base: rigBase(), transport: new FakePccs(() => clock.now()), clock, random })]
  const source = createCollateralSource({
    sources,
    authenticate: (item) => authenticateCollateralItem(item, { now: clock.now(), trustAnchors }),
    store: new FakeStore(),
    clock,
    random,
    report: () => {},
    lifetime: signal,
  })
  await source.collateralFor(rigQuery, signal)
  await compare('all items are there and current', [
    { name: 'collateralFor', role: 'ours', run: () => source.collateralFor(rigQuery, signal) },
  ])
})
