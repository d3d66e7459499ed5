// The reference package's judgement of scopes, as it comes. Reads questions as JSON on standard input:
// { scopes: [text], grants: [{ scopes: [text], needs: [[resource, options]] }], sets: [{ include, set }] }
import {
  AccountPermission, BlobPermission, IdentityPermission, IncludeScope, RepoPermission, RpcPermission,
  ScopePermissionsTransition, isAtprotoOauthScope, normalizeAtprotoOauthScopeValue,
} from '@atproto/oauth-scopes'

const chunks = []
for await (const chunk of process.stdin) chunks.push(chunk)
const given = JSON.parse(Buffer.concat(chunks))

// What cannot be decoded is thrown out of the package.
const or = (fallback, ask) => {
  try { return ask() } catch { return fallback }
}
const asks = {
  account: ['allowsAccount', AccountPermission], blob: ['allowsBlob', BlobPermission],
  identity: ['allowsIdentity', IdentityPermission], repo: ['allowsRepo', RepoPermission],
  rpc: ['allowsRpc', RpcPermission],
}
process.stdout.write(JSON.stringify({
  scopes: given.scopes.map((text) => or(null, () => isAtprotoOauthScope(text) ? normalizeAtprotoOauthScopeValue(text) : null)),
  grants: given.grants.map(({ scopes, needs }) => {
    const permissions = new ScopePermissionsTransition(scopes)
    return needs.map(([resource, options]) => permissions[asks[resource][0]](options))
  }),
  needed: given.needed.map(([resource, options]) => asks[resource][1].scopeNeededFor(options)),
  sets: given.sets.map(({ include, set }) => IncludeScope.fromString(include).toScopes(set)),
}))
