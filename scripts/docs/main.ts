import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generatedPages } from './render.ts'

// Writes the generated pages; the first argument is the project's folder.
for (const [path, text] of Object.entries(generatedPages())) writeFileSync(join(process.argv[2] ?? '.', path), text)
