"""An API in FastAPI that stands in for one with auth0-fastapi-api, since it is made of Debian's packages alone.

It takes the steps that the original takes for a Bearer token, in code of our own but with the same library beneath, Authlib:
header and payload are read once before and once with the signature, and the key is made of its JWK for each token.  It leaves
out what the original does beside that: the look-ups in its caches of discovery and keys, and the choice of Bearer or DPoP.
"""
import base64
import json
import os
import time

from authlib.jose import JsonWebKey, JsonWebToken
from authlib.jose.errors import JoseError
from fastapi import Depends, FastAPI, HTTPException, Request

issuer = os.environ["ISSUER"]
audience = os.environ["AUDIENCE"]
with open(os.environ["JWKS"], encoding="utf-8") as file:
    jwks = json.load(file)
jwt = JsonWebToken(["RS256"])
app = FastAPI()


def refuse(text):
    return HTTPException(401, {"error": "invalid_token", "error_description": text},
                         {"WWW-Authenticate": f'Bearer realm="api", error="invalid_token", error_description="{text}"'})


def part(token, number):
    text = token.split(".")[number]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


async def require_auth(request: Request):
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise HTTPException(401, headers={"WWW-Authenticate": 'Bearer realm="api"'})
    try:
        header, claimed = part(token, 0), part(token, 1).get("iss")
        kid, alg = header.get("kid"), header.get("alg", "")
    except (ValueError, IndexError, AttributeError) as error:
        raise refuse("the token is malformed") from error
    if alg.startswith("HS") or claimed != issuer:
        raise refuse("issuer mismatch")
    jwk = next((key for key in jwks["keys"] if key.get("kid") == kid), None)
    if jwk is None:
        raise refuse("no matching key")
    try:
        claims = jwt.decode(token, JsonWebKey.import_key(jwk))
    except (JoseError, ValueError) as error:
        raise refuse("signature verification failed") from error
    aud = claims.get("aud")
    if claims.get("iss") != issuer or audience not in (aud if isinstance(aud, list) else [aud]):
        raise refuse("issuer or audience mismatch")
    if not isinstance(claims.get("exp"), int) or time.time() >= claims["exp"] or "iat" not in claims:
        raise refuse("the token is expired")
    return claims


@app.get("/gate/me.json")
async def me(claims: dict = Depends(require_auth)):
    return {"sub": claims["sub"]}
