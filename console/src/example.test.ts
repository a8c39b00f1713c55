import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')

/** What the compiler says of a module beside bundle.d.ts. */
function mistakesIn(source: string): string[] {
  const file = join(root, 'example.tsx')
  const { options } = ts.parseJsonConfigFileContent(ts.readConfigFile(join(root, 'shopwindow/tsconfig.json'), ts.sys.readFile).config, ts.sys, join(root, 'shopwindow'))
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile } = host
  host.fileExists = (name) => name === file || fileExists(name)
  host.readFile = (name) => (name === file ? source : readFile(name))
  const program = ts.createProgram([file], options, host)
  return program.getSemanticDiagnostics(program.getSourceFile(file)).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
}

test("the documentation's example of a bundle is one", () => {
  const example = /<!-- bundle -->\n```tsx\n(.*?)```/s.exec(readFileSync(join(root, '../docs/console.md'), 'utf8'))?.[1] ?? ''
  expect(example).toContain('export const register')
  expect(mistakesIn(example)).toEqual([])
  expect(mistakesIn(example.replace("title: 'Shelves'", 'title: 7'))).toEqual(["Type 'number' is not assignable to type 'string'."])
}, 60_000)
