// An OpenID provider for tests: `node --input-type=module - CONFIG`, fed through stdin, where oidc-provider is installed.
import { readFileSync } from 'node:fs';
import { Provider } from 'oidc-provider';

const config = JSON.parse(readFileSync(process.argv[2], 'utf8'));

const provider = new Provider(config.issuer, {
  jwks: { keys: config.keys },
  clients: Object.keys(config.clients).map((id) => ({
    client_id: id,
    client_secret: config.secret,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  })),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      // A resource is `urn:<algorithm>:<audience>`.
      getResourceServerInfo: (_ctx, resource) => {
        const [, alg, audience] = resource.split(':');
        return { scope: '', audience, accessTokenFormat: 'jwt', accessTokenTTL: 600, jwt: { sign: { alg } } };
      },
    },
  },
  extraTokenClaims: (_ctx, token) => config.clients[token.clientId],
});

provider.listen(config.port, '127.0.0.1');
