// An application on this machine, as far as consent goes: it asks (PAR, PKCE), waits where the browser comes back, takes
// tokens for the code and uses them, each request with a proof of its key (DPoP).

import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { createServer } from 'node:http'

import { send } from './tools.mjs'

const encoded = (value) => Buffer.from(value).toString('base64url')
const digest = (text) => createHash('sha256').update(text).digest('base64url')

export class App {
  /** An application that wants these scopes at this host. */
  constructor(host, scope) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { kty, crv, x, y } = publicKey.export({ format: 'jwk' })
    Object.assign(this, { host, scope, privateKey, jwk: { kty, crv, x, y }, verifier: encoded(randomBytes(32)) })
  }

  /** Begins to wait, and gives the address that the browser is to open. */
  async begin(hint) {
    this.answered = new Promise((done) => {
      this.server = createServer((asked, reply) => {
        reply.setHeader('content-type', 'text/html; charset=utf-8')
        reply.end('<!doctype html><html lang="en"><title>app</title><link rel="icon" href="data:,"><main><h1>Back in the app</h1></main>')
        done(new URL(asked.url, 'http://127.0.0.1').searchParams)
      })
    })
    await new Promise((done) => this.server.listen(0, '127.0.0.1', done))
    this.redirect = `http://127.0.0.1:${this.server.address().port}/callback`
    this.id = `http://localhost?${new URLSearchParams([['redirect_uri', this.redirect], ['scope', this.scope]])}`
    const pushed = await this.form('/oauth/par', {
      client_id: this.id, redirect_uri: this.redirect, response_type: 'code', scope: this.scope, state: 'of-the-app',
      code_challenge: digest(this.verifier), code_challenge_method: 'S256', ...(hint ? { login_hint: hint } : {}),
    })
    const query = new URLSearchParams({ client_id: this.id, request_uri: pushed.request_uri })
    return `${this.host}/oauth/authorize?${query}`
  }

  /** What was granted, once the browser came back. */
  async granted() {
    const answer = await this.answered
    this.server.close()
    if (answer.get('state') !== 'of-the-app' || !answer.get('code')) throw new Error(`the app got ${answer}`)
    const tokens = await this.form('/oauth/token', {
      grant_type: 'authorization_code', client_id: this.id, redirect_uri: this.redirect,
      code: answer.get('code'), code_verifier: this.verifier,
    })
    this.token = tokens.access_token
    return tokens.scope.split(' ')
  }

  /** Calls a method with what was granted; whatever the answer is. */
  async call(nsid, body) {
    const headers = { 'content-type': 'application/json', authorization: `DPoP ${this.token}` }
    return this.proved('POST', `/xrpc/${nsid}`, headers, JSON.stringify(body))
  }

  async form(path, params) {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const reply = await this.proved('POST', path, headers, String(new URLSearchParams(params)))
    if (reply.status >= 300) throw new Error(`${path}: ${reply.status} ${reply.text}`)
    return reply.json
  }

  /** A request with a proof; once more where the server wants its nonce in it. */
  async proved(method, path, headers, body) {
    const once = async () => {
      const dpop = this.proof(method, `${this.host}${path}`)
      const reply = await send(`${this.host}${path}`, { method, headers: { ...headers, dpop }, body })
      this.nonce = reply.headers['dpop-nonce'] ?? this.nonce
      return reply
    }
    const reply = await once()
    const wanted = reply.json?.error === 'use_dpop_nonce' || (reply.headers['www-authenticate'] ?? '').includes('use_dpop_nonce')
    return wanted ? once() : reply
  }

  proof(method, url) {
    const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: this.jwk }
    const claims = {
      jti: encoded(randomBytes(16)), htm: method, htu: url, iat: Math.floor(Date.now() / 1000),
      ...(this.nonce ? { nonce: this.nonce } : {}), ...(this.token ? { ath: digest(this.token) } : {}),
    }
    const text = [header, claims].map((part) => encoded(JSON.stringify(part))).join('.')
    const signature = sign('sha256', Buffer.from(text), { key: this.privateKey, dsaEncoding: 'ieee-p1363' })
    return `${text}.${encoded(signature)}`
  }
}
