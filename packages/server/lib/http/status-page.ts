/** GET /: a page for people. */
import type { FastifyInstance } from 'fastify';
import { type Core, SERVER_NAME } from '../core';
import type { ServedModel } from '../models/served-model';
import { FAILURE_REASONS } from '../models/statistics';

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escaped(value: unknown): string {
  return String(value).replace(/[&<>"]/g, (each) => ESCAPES[each] ?? each);
}

function row(cells: readonly unknown[], tag = 'td'): string {
  return `<tr>${cells.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`;
}

const COLUMNS = [
  'model',
  'state',
  'input',
  'outputs',
  'answered',
  'failed',
  'under way',
  'images',
  'batches',
];

function modelRow(model: ServedModel): string {
  const { succeeded, failed, pending } = model.statistics;
  const failures = FAILURE_REASONS.reduce((sum, reason) => sum + failed[reason], 0);
  const { images, executions } = model.figures();
  const tensors = (which: 'inputs' | 'outputs'): string =>
    model.ready
      ? model.metadata[which]
          .map(({ name, datatype, shape }) => `${name} ${datatype} [${shape.join(', ')}]`)
          .join('; ')
      : '';
  const state = !model.ready ? 'not ready' : model.isBatched ? 'ready' : 'ready; requests run alone';
  return row([
    model.name,
    state,
    tensors('inputs'),
    tensors('outputs'),
    succeeded,
    failures,
    pending,
    images,
    executions,
  ]);
}

const STYLE =
  'body{font:16px system-ui,sans-serif;margin:2rem;max-width:80rem}table{border-collapse:collapse}td,th{border:1px solid #8888;padding:.3rem .6rem;text-align:left}';

function page({ models, lifecycle, version, options }: Core): string {
  const links = [
    ['/openapi.json', 'OpenAPI document'],
    ['/v2', 'server metadata'],
    ['/v2/models/stats', 'statistics'],
    ...(options.metricsPort === undefined ? [['/metrics', 'Prometheus metrics']] : []),
  ];
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${SERVER_NAME}</title><style>${STYLE}</style></head>
<body><h1>${SERVER_NAME} ${escaped(version)}</h1><p>State: ${lifecycle.phase}. Up for ${Math.round(process.uptime())} s.</p>
<table><thead>${row(COLUMNS, 'th')}</thead><tbody>${models.all().map(modelRow).join('\n')}</tbody></table>
<ul>${links.map(([href, text]) => `<li><a href="${href ?? ''}">${text ?? ''}</a></li>`).join('')}</ul></body></html>\n`;
}

/** The page loads nothing, and no script may run on it. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

export function statusPageRoute(app: FastifyInstance, core: Core): void {
  app.get('/', (_request, reply) => {
    void reply.headers({ 'content-type': 'text/html; charset=utf-8', 'content-security-policy': POLICY });
    return page(core);
  });
}
