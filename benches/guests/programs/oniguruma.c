// Searches text for what three regular expressions match.
#include "bench.h"
#include <oniguruma.h>

enum { SIZE = 1000000 };
static char text[SIZE];

int main(void) {
  fill_with_text(text, SIZE);
  static const char *const patterns[] = {"(\\w+)\\s+\\1\\b", "(?:[aeiou]{2,}|[^aeiou\\s]{4,})t", "(?<=e)\\w*?(?:in|on|an)\\w*(?=\\s[st])"};
  const OnigUChar *start = (const OnigUChar *)text, *stop = start + SIZE;
  OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
  onig_initialize(encodings, 1);
  begin();
  for (int at = 0; at < 3; at++) {
    regex_t *regex;
    const OnigUChar *pattern = (const OnigUChar *)patterns[at];
    int made = onig_new(&regex, pattern, pattern + strlen(patterns[at]), ONIG_OPTION_DEFAULT, ONIG_ENCODING_UTF8, ONIG_SYNTAX_DEFAULT, NULL);
    require(made == ONIG_NORMAL, "the pattern has a mistake");
    OnigRegion *region = onig_region_new();
    for (const OnigUChar *from = start; from < stop;) {
      int found = onig_search(regex, start, stop, from, stop, region, ONIG_OPTION_NONE);
      if (found == ONIG_MISMATCH) break;
      require(found >= 0, "searching failed");
      check_number(found);
      check_number(region->end[0]);
      from = start + (region->end[0] > found ? region->end[0] : found + 1);
    }
    onig_region_free(region, 1);
    onig_free(regex);
  }
  end();
}
