/** One sample of a text in the OpenMetrics format. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface MetricFamily {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly samples: readonly Sample[]
}

const suffixes: Readonly<Record<string, readonly string[]>> = {
  counter: ['_total'],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
}

const nameForm = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const sampleForm = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?[0-9.e+-]+|NaN|[+-]Inf)$/
const labelForm = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  labelForm.lastIndex = 0
  for (let at = 0; at < text.length; at = labelForm.lastIndex) {
    const [, name, value] = labelForm.exec(text) ?? []
    if (name === undefined || value === undefined) throw new Error(`not labels: ${text}`)
    if (Object.hasOwn(labels, name)) throw new Error(`label ${name} twice: ${text}`)
    labels[name] = value.replace(/\\(.)/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped))
  }
  return labels
}

function parseSample(line: string): Sample {
  const [, name, labels = '', value = ''] = sampleForm.exec(line) ?? []
  if (name === undefined) throw new Error(`not a sample: ${line}`)
  return { name, labels: parseLabels(labels), value: Number(value.replace('Inf', 'Infinity')) }
}

function requireHistogram({ name, samples }: MetricFamily): void {
  const series = new Map<string, { buckets: [number, number][]; count: number | undefined }>()
  for (const sample of samples) {
    const { le, ...others } = sample.labels
    const key = JSON.stringify(others)
    const one = series.get(key) ?? { buckets: [], count: undefined }
    series.set(key, one)
    if (sample.name === `${name}_bucket`)
      one.buckets.push([Number((le ?? '').replace('Inf', 'Infinity')), sample.value])
    if (sample.name === `${name}_count`) one.count = sample.value
  }
  for (const [key, { buckets, count }] of series) {
    const grows = buckets.every(([le, value], at) => {
      const before = buckets[at - 1]
      return before === undefined || (le > before[0] && value >= before[1])
    })
    const last = buckets.at(-1)
    if (!grows || last?.[0] !== Number.POSITIVE_INFINITY || last[1] !== count)
      throw new Error(`${name}${key} is no histogram`)
  }
}

function requireFamily(family: MetricFamily): void {
  const { name, type, samples } = family
  const allowed = suffixes[type]
  if (allowed === undefined) throw new Error(`${name}: type ${type}`)
  const seen = new Set<string>()
  for (const sample of samples) {
    if (!allowed.some((suffix) => sample.name === name + suffix)) throw new Error(`${sample.name} is not of ${name}`)
    const key = sample.name + JSON.stringify(Object.entries(sample.labels).sort())
    if (seen.has(key)) throw new Error(`${key} twice`)
    seen.add(key)
    if (type === 'counter' && !(sample.value >= 0)) throw new Error(`${key} is ${sample.value}`)
  }
  if (type === 'histogram') requireHistogram(family)
}

/**
 * Reads a whole text by the rules of OpenMetrics 1.0 as far as our metrics use it, and throws for everything else: families
 * without interleaving, each with HELP and TYPE before its samples, no sample twice, whole histograms, `# EOF` at the end.
 */
export function parseOpenMetrics(text: string): ReadonlyMap<string, MetricFamily> {
  const lines = text.split('\n')
  if (lines.pop() !== '' || lines.pop() !== '# EOF') throw new Error('the text does not end with # EOF')
  const families = new Map<string, MetricFamily & { samples: Sample[] }>()
  let help: readonly [string, string] | null = null
  let open: (MetricFamily & { samples: Sample[] }) | null = null
  for (const line of lines.filter((one) => one !== '')) {
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (kind === undefined) {
      if (open === null || line.startsWith('#')) throw new Error(`out of place: ${line}`)
      open.samples.push(parseSample(line))
      continue
    }
    if (!nameForm.test(name) || families.has(name)) throw new Error(`a family again, or without a name: ${line}`)
    if (kind === 'HELP') {
      if (/(^|[^\\])"/.test(rest)) throw new Error(`an unescaped quote: ${line}`)
      help = [name, rest]
      continue
    }
    if (help?.[0] !== name) throw new Error(`TYPE without HELP: ${line}`)
    open = { name, type: rest, help: help[1], samples: [] }
    families.set(name, open)
  }
  for (const family of families.values()) requireFamily(family)
  return families
}

/** Value of the one sample with exactly these labels; undefined: there is none. */
export function sampleValue(
  families: ReadonlyMap<string, MetricFamily>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const wanted = JSON.stringify(Object.entries(labels).sort())
  for (const { samples } of families.values()) {
    const found = samples.find(
      (sample) => sample.name === name && JSON.stringify(Object.entries(sample.labels).sort()) === wanted,
    )
    if (found !== undefined) return found.value
  }
  return undefined
}
