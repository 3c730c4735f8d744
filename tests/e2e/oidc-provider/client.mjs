// A client for tests/e2e/oidc-dpop.sh: the npm package openid-client gets an access token by client credentials and
// calls protected resources with it, making the proofs and answering challenges for a nonce by itself.
// usage: node client.mjs ISSUER CLIENT-SECRET RESOURCE SCOPE bound|unbound DPoP|Bearer ALGORITHM [URL PORT]...
// The token is bound to a key for ALGORITHM or not, and sent by the scheme DPoP, with proofs of that key, or by Bearer.
// The request for each URL goes to PORT of 127.0.0.1, as if what stands at the URL were a balancer in front of it.
// Prints one line of JSON per call: status and body of the last answer, and each request that was made for it, thus:
// {"status", "body", "requests": [{"authorization", "proof", "status", "error", "nonce"}]}
import { webcrypto } from 'node:crypto';

// Node 18 has these, but not as globals, and openid-client wants them as it is loaded.
globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;
const client = await import('openid-client');

const [issuer, secret, resource, scope, binding, scheme, algorithm, ...calls] = process.argv.slice(2);

const config = await client.discovery(new URL(issuer), 'robot', undefined, client.ClientSecretBasic(secret));
client.allowInsecureRequests(config); // the web servers of the test speak plain HTTP

// RFC 9864 calls it Ed25519 and openid-client does so; this provider knows RFC 8037's name alone.
const asTheProviderKnowsIt = {
  [client.modifyAssertion]: (header, claims) => {
    // the header is kept from one proof to the next
    if (algorithm === 'Ed25519') header.alg = claims.htu.startsWith(issuer) ? 'EdDSA' : 'Ed25519';
  },
};
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair(algorithm), asTheProviderKnowsIt);
const { access_token } = await client.clientCredentialsGrant(config, { resource, scope }, binding === 'bound' ? { DPoP } : {});

// Sends a request to another place than its URL says, and writes down what went and what came.
const recording = (port, requests) => async (url, init) => {
  const { pathname, search } = new URL(url);
  const response = await fetch(`http://127.0.0.1:${port}${pathname}${search}`, init);
  const headers = new Headers(init.headers);
  requests.push({
    authorization: headers.get('authorization'),
    proof: headers.get('dpop'),
    status: response.status,
    error: response.headers.get('www-authenticate')?.match(/\berror="([^"]*)"/)?.[1] ?? null,
    nonce: response.headers.get('dpop-nonce'),
  });
  return response;
};

for (let i = 0; i < calls.length; i += 2) {
  const requests = [];
  config[client.customFetch] = recording(calls[i + 1], requests);
  let response;
  try {
    response = await client.fetchProtectedResource(config, access_token, new URL(calls[i]), 'GET', undefined, undefined,
      scheme === 'DPoP' ? { DPoP } : {});
  } catch (error) {
    if (!(error.response instanceof Response)) throw error; // a challenge that it does not answer is such an error
    ({ response } = error);
  }
  console.log(JSON.stringify({ status: response.status, body: await response.json(), requests }));
}
