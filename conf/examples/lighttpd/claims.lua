-- Claims for a program behind mod_proxy, which gets headers and no variables: X-Auth-Claim-Sub for CLAIM_SUB, X-Auth-Remote-User
-- for REMOTE_USER, X-Auth-Type for AUTH_TYPE.  lighttpd runs this twice for a request: before bearergate is asked, when there are
-- no claims yet, and after it has allowed.  Whatever a client sends under such a name is removed both times.
local more = {}		-- names given by "as" in export blocks: { "ROLES" }

local r = lighty.r
local forged = {}
for name in pairs(r.req_header) do
  if name:lower():find("^x[-_]auth[-_]") then
    forged[#forged + 1] = name
  end
end
for _, name in ipairs(forged) do
  r.req_header[name] = nil
end

local wanted = { REMOTE_USER = true, AUTH_TYPE = true, CLAIMS_JSON = true }
for _, name in ipairs(more) do
  wanted[name] = true
end
local claims = {}
for name, value in pairs(r.req_env) do
  if wanted[name] or name:find("^CLAIM_") then
    claims[name] = value
  end
end
for name, value in pairs(claims) do
  local words = name == "AUTH_TYPE" and "TYPE" or name
  r.req_header["X-Auth-" .. words:gsub("_", "-")] = value
end
return 0
