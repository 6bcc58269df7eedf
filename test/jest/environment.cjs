/**
 * The environment of all suites: Node's, in which the results of tests and of the processes that they start do not depend on the terminal or on
 * proxies. Programs that tests start inherit the variables of the process, the tests those of their sandbox, so both are changed.
 */
const { TestEnvironment } = require('jest-environment-node');

/** These colour what programs print; jest sets the first itself in its workers. Its own messages keep the colours that are asked for. */
const COLOURS = ['FORCE_COLOR', 'NO_COLOR'];
const asked = Object.fromEntries(COLOURS.map((name) => [name, process.env[name]]));

/** Servers on this machine are asked directly; registries may still need the proxy. */
function askThisMachineDirectly(env) {
  const direct = [env.no_proxy ?? env.NO_PROXY, 'localhost', '127.0.0.1', '::1'].filter(Boolean).join(',');
  Object.assign(env, { no_proxy: direct, NO_PROXY: direct });
  // gRPC's own come before these.
  delete env.grpc_proxy;
  delete env.no_grpc_proxy;
}

function removeColours(env) {
  for (const name of COLOURS) delete env[name];
}

askThisMachineDirectly(process.env);

module.exports = class extends TestEnvironment {
  constructor(...args) {
    for (const [name, value] of Object.entries(asked)) if (value !== undefined) process.env[name] = value;
    // Copies the variables.
    super(...args);
    removeColours(process.env);
  }

  /** Before the tests of a file, when jest's matchers have found their colours. */
  handleTestEvent({ name }) {
    if (name === 'setup') removeColours(this.global.process.env);
  }
};
