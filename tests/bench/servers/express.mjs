// An API with express-oauth2-jwt-bearer, as the README of that package has it: a process for each processor, and the token's
// sub for an answer.
//
//	node express.mjs PROCESSES ISSUER AUDIENCE JWKS-URI
import cluster from 'node:cluster';
import express from 'express';
import { auth } from 'express-oauth2-jwt-bearer';

const [processes, issuer, audience, jwksUri] = process.argv.slice(2);

if (cluster.isPrimary) {
  let port = 0, ready = 0;
  cluster.on('listening', (worker, address) => {
    port = address.port;
    if (++ready === Number(processes)) console.log(`listening on ${port}`);
  });
  cluster.on('exit', () => process.exit(1));
  for (let i = 0; i < Number(processes); i++) cluster.fork();
} else {
  const app = express();
  app.get('/gate/me.json', auth({ issuer, audience, jwksUri, tokenSigningAlg: 'RS256' }), (req, res) => {
    res.json({ sub: req.auth.payload.sub });
  });
  app.listen(0, '127.0.0.1');
}
