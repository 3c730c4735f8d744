// An OpenID Provider for tests/e2e/oidc-provider.sh and oidc-dpop.sh: the npm package oidc-provider on loopback, over
// TLS, with one client that gets JWT access tokens by client credentials, bound to its key where it shows one by DPoP.
// usage: node provider.mjs TLS-KEY.pem TLS-CERT.pem CLIENT-SECRET; prints "listening on PORT".
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import Provider from 'oidc-provider';

const [key, cert, secret] = process.argv.slice(2);

// A key of its own for each run, in place of the development keys the package would use.
const signing = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });

const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) });
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const provider = new Provider(`https://localhost:${port}`, {
    jwks: { keys: [{ ...signing, use: 'sig', alg: 'RS256' }] },
    cookies: { keys: [secret] },
    clients: [{
      client_id: 'robot',
      client_secret: secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    }],
    scopes: ['read:messages', 'write:messages'],
    enabledJWA: { dPoPSigningAlgValues: ['ES256', 'EdDSA', 'RS256'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      // RFC 8707: any https resource is an API of ours, with JWT access tokens as RFC 9068 has them.
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, resource) => ({
          scope: 'read:messages write:messages',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 600,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });
  server.on('request', provider.callback());
  console.log(`listening on ${port}`);
});
