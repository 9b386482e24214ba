import { keyName, type Route } from './route.ts'

/** The methods of one path; `path` is as the routes give it, with a place for a parameter where it has one. */
export interface RoutedPath {
  readonly path: string
  readonly methods: ReadonlyMap<string, Route>
}

export interface FoundPath extends RoutedPath {
  readonly parameter: string | null
}

const place = '{name}'

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
    this.#patterns = [...this.#paths.keys()].filter((path) => path.includes(place)).map(patternOf)
  }

  get paths(): Iterable<RoutedPath> {
    return this.#paths.values()
  }

  find(path: string): FoundPath | null {
    if (path.includes('{')) return null
    const exact = this.#paths.get(path)
    if (exact !== undefined) return { ...exact, parameter: null }
    for (const { form, path: pattern } of this.#patterns) {
      const parameter = form.exec(path)?.[1]
      const routed = this.#paths.get(pattern)
      if (parameter !== undefined && routed !== undefined) return { ...routed, parameter }
    }
    return null
  }
}

function patternOf(path: string): { readonly form: RegExp; readonly path: string } {
  const [before = '', after = ''] = path.split(place)
  return { form: new RegExp(`^${before}(${keyName.source})${after}$`), path }
}
