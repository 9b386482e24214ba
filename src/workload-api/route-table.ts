import { type Route, routePlaces } from './route.ts'

/** The methods of one path; `path` is as the routes give it, with a place for a parameter where it has one. */
export interface RoutedPath {
  readonly path: string
  readonly methods: ReadonlyMap<string, Route>
}

export interface FoundPath extends RoutedPath {
  /** What stands at the places of the path, in their order. */
  readonly parameters: readonly string[]
}

const place = /\{[a-z]+\}/g

/** The routes of one listener by path and method; paths are compared byte for byte, nothing is decoded (API-25). */
export class RouteTable {
  readonly #paths = new Map<string, { readonly path: string; readonly methods: Map<string, Route> }>()
  readonly #patterns: readonly { readonly form: RegExp; readonly path: string }[]

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      const { path, method } = route
      const { methods } = this.#paths.get(path) ?? { methods: new Map<string, Route>() }
      methods.set(method, route)
      if (method === 'GET') methods.set('HEAD', route)
      this.#paths.set(path, { path, methods })
    }
    this.#patterns = [...this.#paths.keys()].filter((path) => path.includes('{')).map(patternOf)
  }

  get paths(): Iterable<RoutedPath> {
    return this.#paths.values()
  }

  find(path: string): FoundPath | null {
    if (path.includes('{')) return null
    const exact = this.#paths.get(path)
    if (exact !== undefined) return { ...exact, parameters: [] }
    for (const { form, path: pattern } of this.#patterns) {
      const found = form.exec(path)
      const routed = this.#paths.get(pattern)
      if (found !== null && routed !== undefined) return { ...routed, parameters: found.slice(1) }
    }
    return null
  }
}

function patternOf(path: string): { readonly form: RegExp; readonly path: string } {
  const source = path.replace(place, (name) => {
    const form = Object.hasOwn(routePlaces, name) ? routePlaces[name] : undefined
    if (form === undefined) throw new TypeError(`${path} has a place that is none: ${name}`)
    return `(${form.source})`
  })
  return { form: new RegExp(`^${source}$`), path }
}
