// Drives Chromium through the demo: `node drive.mjs` with the demo's JSON in P2PDS_DEMO. One line for each step on
// standard output; the first step that fails ends the run with its name, its page and what was wrong.
//
// Everything is done from the keyboard: a step that can be taken with a mouse only fails here.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { steps } from './steps.mjs'
import { fail, launch, meet } from './visitor.mjs'

const demo = JSON.parse(process.env.P2PDS_DEMO)
const screens = process.env.P2PDS_SCREENS_DIR
const browser = await launch()
const visitors = new Map()

/** The visitor of this name; a new one has an empty profile. */
async function visitor(name) {
  if (!visitors.has(name)) visitors.set(name, await meet(browser, name, demo.node))
  return visitors.get(name)
}

const shared = { demo, visitor, fail, browser, state: {} }
let status = 0
for (const [name, step] of steps) {
  const started = performance.now()
  try {
    await step(shared)
    for (const one of visitors.values()) one.quiet(`${name} (${one.name})`)
    const found = [...visitors.values()].flatMap((one) => one.found.splice(0))
    if (found.length > 0) {
      console.log(`FAILED ${name}: ${found.join('\n  ')}`)
      status = 1
      continue
    }
    console.log(`ok ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
  } catch (error) {
    console.log(`FAILED ${name}: ${error.stack ?? error}`)
    for (const one of visitors.values()) {
      console.log(`  ${one.name} is at ${one.page.url()}${one.troubles.map((text) => `\n    ${text}`).join('')}`)
      await one.shoot(`failed-${one.name}`).catch(() => {})
      writeFileSync(join(screens, `failed-${one.name}.html`), await one.page.content().catch(() => ''))
    }
    status = 1
    break
  }
}
await browser.close()
process.exit(status)
