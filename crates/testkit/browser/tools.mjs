// What steps need besides a browser: people, forms, methods of hosts, mail, codes.

import { execFileSync } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { request } from 'node:http'

/** Somebody who lives in the demo, by the first label of the handle. */
export function person(demo, name) {
  return demo.people.find((one) => one.handle.startsWith(`${name}.`))
}

/** A command of the demo's node. */
export function p2pds(demo, ...args) {
  const env = { ...process.env, P2PDS_DATA_DIR: demo.data, NO_COLOR: '1' }
  return execFileSync(process.env.P2PDS_PROGRAM, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

export const button = (action) => `form[action="${action}"] button[type=submit]`

/** The form on an account's own page, or on an operator's, that does this. */
export const doing = (what, more = '') => `form:has(input[name=do][value="${what}"])${more}`

/** The button that goes on at a page of an authorization server. */
export const FORM = 'form[action="/oauth/authorize"] button[type=submit]:not(.quiet)'

/**
 * One request to a host of the demo. Browsers know that names under `.localhost` are this machine; not every resolver
 * does, so this machine is asked and told the name.
 */
export function send(url, { method = 'GET', headers = {}, body } = {}) {
  const { host, port, pathname, search } = new URL(url)
  const options = { host: '127.0.0.1', port, method, path: pathname + search, headers: { ...headers, host } }
  return new Promise((done, failed) => {
    const sent = request(options, (reply) => {
      const pieces = []
      reply.on('error', failed)
      reply.on('data', (piece) => pieces.push(piece))
      reply.on('end', () => {
        const text = Buffer.concat(pieces).toString()
        let json
        try {
          json = JSON.parse(text)
        } catch {
          // It is text.
        }
        done({ status: reply.statusCode, headers: reply.headers, text, json })
      })
    })
    sent.on('error', failed)
    sent.end(body)
  })
}

/** Calls a method of a host; whatever the answer is. */
export function call(host, nsid, token, body) {
  const headers = { ...(token ? { authorization: `Bearer ${token}` } : {}) }
  if (body === undefined) return send(`${host}/xrpc/${nsid}`, { headers })
  const json = JSON.stringify(body)
  return send(`${host}/xrpc/${nsid}`, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: json })
}

/** Calls a method of a host that must work. */
export async function ask(host, nsid, token, body) {
  const { status, text, json } = await call(host, nsid, token, body)
  if (status !== 200) throw new Error(`${nsid}: ${status} ${text}`)
  return json
}

/** Waits for the newest code that was mailed to this address and is not among those that were seen. */
export async function mailed(demo, to, seen) {
  for (let tries = 0; tries < 300; tries++) {
    const letters = await (await fetch(`${demo.desk}/mail`)).json()
    const codes = letters.filter((one) => one.to === to).map(({ text }) => text.match(/^ {4}(\S+)$/m)?.[1])
    const code = codes.find((one) => one && !seen.has(one))
    if (code) {
      seen.add(code)
      return code
    }
    await new Promise((done) => setTimeout(done, 100))
  }
  throw new Error(`no new code was mailed to ${to}`)
}

/** The code of an authenticator app (RFC 6238), so many steps from now. */
export function totp(secret, later = 0) {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const bits = [...secret].map((letter) => letters.indexOf(letter).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from(bits.match(/.{8}/g).map((eight) => parseInt(eight, 2)))
  const step = Buffer.alloc(8)
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + later))
  const hash = createHmac('sha1', key).update(step).digest()
  const at = hash[hash.length - 1] & 15
  return String((hash.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}
