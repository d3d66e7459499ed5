// Looks at every page in every state that it can be in: `node gallery.mjs` with the directory that holds them as HTML
// files in P2PDS_GALLERY, and what they load beside them. One line for each; all that is wrong is said before the end.

import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { extname, join } from 'node:path'

import { launch, meet } from './visitor.mjs'

const gallery = process.env.P2PDS_GALLERY
/** Only whether everything has its place from side to side. */
const sides = process.env.P2PDS_GALLERY_LOOK === 'sides'
const BASE = 'http://localhost:1'
const KINDS = { '.html': 'text/html; charset=utf-8', '.css': 'text/css', '.js': 'text/javascript', '.svg': 'image/svg+xml' }
/** The smallest picture, for those of accounts that do not exist. */
const PIXEL = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64')

const browser = await launch()
const reader = await meet(browser, 'reader', BASE)
await reader.page.setRequestInterception(true)
reader.page.on('request', (request) => {
  const url = new URL(request.url())
  if (url.origin !== BASE) return request.continue()
  const file = join(gallery, url.pathname)
  if (existsSync(file)) return request.respond({ contentType: KINDS[extname(file)], body: readFileSync(file) })
  if (request.resourceType() === 'image') return request.respond({ contentType: 'image/gif', body: PIXEL })
  // Progress that nobody makes.
  if (request.resourceType() === 'eventsource') return request.respond({ contentType: 'text/event-stream', body: 'retry: 9999999\n\n' })
  return request.respond({ status: 404, body: '' })
})
let wrong = 0
for (const file of readdirSync(gallery).filter((name) => name.endsWith('.html')).sort()) {
  const name = file.replace(/\.html$/, '')
  try {
    await reader.go(`/${file}`)
    await (sides ? reader.sides(name) : reader.examine(name))
    console.log(`ok ${name}`)
  } catch (error) {
    console.log(`FAILED ${error.message}`)
    reader.troubles.length = 0
    wrong += 1
  }
}
await browser.close()
process.exit(wrong === 0 ? 0 : 1)
