// Reads a list of simulations from standard input, writes for each what @cloud-copilot/iam-simulate says: "Allowed",
// "ExplicitlyDenied", "ImplicitlyDenied", or "error: ..." where it cannot run one (no such action, no such resource).
// The module's folder is the first argument: this file lies outside of it.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const packages = createRequire(join(process.argv[2], 'x.js'));
const engine = await import(pathToFileURL(packages.resolve('@cloud-copilot/iam-simulate')));
const { runSimulation } = engine.runSimulation ? engine : engine.default;

let text = '';
for await (const part of process.stdin) text += part;
const said = [];
for (const simulation of JSON.parse(text)) {
  const result = await runSimulation(simulation, { simulationMode: 'Strict' });
  const ignored = result.result?.ignoredContextKeys ?? [];
  if (result.resultType === 'error') said.push(`error: ${JSON.stringify(result.errors)}`);
  else if (ignored.length > 0) said.push(`error: keys that do not belong to the action: ${ignored}`);
  else said.push(result.overallResult);
}
console.log(JSON.stringify(said));
