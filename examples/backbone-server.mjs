/**
 * The model of backbone.ts for the server:
 *
 *     BACKBONE=backbone.pt2 npx tokenlearner serve --model classify=examples/backbone-server.mjs
 */
import { AotiModel, Flatten, Linear, Sequential, TokenLearner } from 'tokenlearner';

export default async function createModel() {
  const backbone = await AotiModel.load(process.env.BACKBONE ?? 'backbone.pt2', { trusted: true });
  const channels = Number(backbone.outputs[0]?.shape?.[1]);
  return new Sequential(
    backbone,
    new TokenLearner({ dim: channels, numOutputTokens: 8 }),
    new Flatten(),
    new Linear(channels * 8, 10),
  );
}
