// Arguments, variables, sorting, dates, numbers, text, an exception.
import { getArguments, getEnvironment } from 'wasi:cli/environment@0.2.0';

export const run = {
  run() {
    console.log(JSON.stringify({ arguments: getArguments().slice(1), variables: getEnvironment().sort() }));
    const primes = [];
    for (let n = 2; primes.length < 12; n++) if (primes.every((p) => n % p)) primes.push(n);
    console.log(primes.join(' '), 2n ** 100n, 'ÄÖß'.toLowerCase(), new Date(0).toISOString());
    console.log([...'component'].sort().join(''), 0.1 + 0.2, /(\d+)-(\d+)/.exec('12-34').slice(1).map(Number));
    console.log(Date.now() > 1.7e12, Math.random() !== Math.random());
    try { null.x } catch (error) { console.log(error.name) }
  },
};
