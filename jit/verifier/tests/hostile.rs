//! Hostile code, files and cache entries from fixed seeds. `fuzz/` looks for more of them.
//!
//! `WAVE_SCRIPTS` asks for another number of each.

use std::collections::HashMap;
use wave_test_hostile::{bytes, file, image, record};
use wave_verifier::{Rule, VerifyError};

/// Scripts of each kind.
const SCRIPTS: u64 = 3000;

fn scripts() -> impl Iterator<Item = Vec<u8>> {
    let count = std::env::var("WAVE_SCRIPTS").map_or(SCRIPTS, |count| count.parse().expect("a number"));
    (0..count).map(|seed| bytes(seed, 1 + (seed % 60) as usize))
}

/// T71: whatever code and tables say, there is an answer, within the budget and with little memory.
#[test]
fn t71_changed_code_gets_an_answer() {
    let mut number = 0;
    while let Some(input) = image::pristine(number) {
        let outcome = image::check_order(input);
        assert!(outcome.is_ok(), "program {number}: {:?}", outcome.err());
        number += 1;
    }
    let mut ends: HashMap<String, u64> = HashMap::new();
    for script in scripts() {
        let Some(input) = image::changed(&script) else { continue };
        let end = match image::check_order(&input) {
            Ok(_) => "accepted".to_owned(),
            Err(VerifyError::Refused(refusals)) => refusals[0].rule.name().to_owned(),
            Err(VerifyError::Declarations(_)) => "declarations".to_owned(),
        };
        *ends.entry(end).or_default() += 1;
    }
    println!("{ends:?}");
    for end in ["accepted", "declarations", Rule::Metadata.name(), Rule::Memory.name()] {
        assert!(ends.contains_key(end), "{end}: {ends:?}");
    }
}

/// T59, T76: whatever a file says, there is an answer; what was not changed is accepted.
#[test]
fn t59_changed_files_get_an_answer() {
    use file::Outcome::{Accepted, Inconsistent, NoModule, Refused, Unreadable};
    let mut ends: HashMap<file::Outcome, u64> = HashMap::new();
    let plain = file::changed(&[0]).expect("a program");
    assert_eq!(file::check(&plain), Accepted);
    for script in scripts() {
        let Some(bytes) = file::changed(&script) else { continue };
        *ends.entry(file::check(&bytes)).or_default() += 1;
    }
    println!("{ends:?}");
    for end in [Unreadable, NoModule, Inconsistent, Refused, Accepted] {
        assert!(ends.contains_key(&end), "{end:?}: {ends:?}");
    }
}

/// T59: an entry counts only as it was signed.
#[test]
fn t59_changed_entries_are_not_signed() {
    use record::Outcome::{Refused, Verified};
    let mut ends: HashMap<record::Outcome, u64> = HashMap::new();
    assert_eq!(record::check(&[0, 0]), Some(Verified));
    // With another key, by another user, under another name.
    for flags in [16, 2 | 4, 2] {
        assert_eq!(record::check(&[0, flags]), Some(Refused), "{flags}");
    }
    for script in scripts() {
        let Some(end) = record::check(&script) else { continue };
        *ends.entry(end).or_default() += 1;
    }
    println!("{ends:?}");
    for end in [Verified, Refused] {
        assert!(ends.contains_key(&end), "{end:?}: {ends:?}");
    }
}
