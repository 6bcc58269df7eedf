import { spawnSync } from 'node:child_process';
import path from 'node:path';

/** A private key and its certificate for localhost, as files of a folder; undefined where openssl is not installed. */
export function selfSigned(folder: string): { key: string; cert: string } | undefined {
  const [key, cert] = [path.join(folder, 'key.pem'), path.join(folder, 'cert.pem')];
  const form = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=localhost'];
  const { status } = spawnSync('openssl', [...form, '-keyout', key, '-out', cert]);
  return status === 0 ? { key, cert } : undefined;
}
