// A program that asks a library in another language.
import { count } from 'test:programs/text';
import { getArguments } from 'wasi:cli/environment@0.2.0';

export const run = {
  run() {
    for (const [word, times] of count(getArguments().slice(1))) console.log(`${word} ${times}`);
  },
};
