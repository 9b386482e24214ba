import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { generatedPages } from './render.ts'

// Writes the generated pages; the first argument is the project's folder.
for (const [path, text] of Object.entries(generatedPages())) {
  const file = join(process.argv[2] ?? '.', path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}
