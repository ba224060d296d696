//! Entries of a cache that anybody could have written: proved with this user's tag alone, and then as they were (T59).

use super::image::{self, Input};
use super::script::{self, Script};
use super::{MEMORY, MEMORY_PER_BYTE, PROGRAMS, memory};
use std::sync::LazyLock;
use wave_compiler::Module;
use wave_contract::digest::{Digest, digest};
use wave_verifier::{Key, Recalled, Record, Terms, verify};

const NAME: Digest = [5; 32];
const SECRET: Digest = [42; 32];

/// An entry, and its text.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    pub record: Record,
    pub text: Vec<u8>,
}

struct Genuine {
    entry: Entry,
    module: Vec<u8>,
    terms: Terms,
}

static GENUINE: LazyLock<Vec<Genuine>> = LazyLock::new(|| {
    let entry = |program: &super::Compiled| {
        let verified = verify(program.image.clone(), &program.bytes, program.terms.clone(), 1);
        let (verified, _) = verified.expect("real code");
        let module = Module::parse(&program.bytes).expect("a module");
        let data = program.bytes[..program.bytes.len() / 2].to_vec();
        let record = verified.record(module.info(), data, &NAME, Some(&Key::new(SECRET)), 1);
        let record = record.expect("memory").expect("it was proved");
        let text = verified.into_code().text;
        assert_eq!(whole(&record, &text), record.digest, "what is hashed below is what is hashed");
        Genuine { entry: Entry { record, text }, module: program.bytes.clone(), terms: program.terms.clone() }
    };
    PROGRAMS.iter().map(entry).collect()
});

/// The hash that anybody can make.
fn whole(record: &Record, text: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&NAME);
    for part in [&record.head, &record.data, text] {
        hasher.update(&digest(part, 1));
    }
    *hasher.finalize().as_bytes()
}

/// How far an entry gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// As it was written.
    Verified,
    Unreadable,
    /// It counts as code from anywhere, and the verifier refuses it.
    Refused,
    Accepted,
}

/// Changes an entry as the script says, and does what a run does with it.
pub fn check(script: &[u8]) -> Option<Outcome> {
    let mut script = Script(script);
    let genuine = script.pick(&GENUINE)?;
    let mut entry = genuine.entry.clone();
    let Entry { record, text } = &mut entry;
    let hashes = script.byte()?;
    while let Some(part) = script.byte() {
        let part = match part % 4 {
            0 | 1 => &mut record.head,
            2 => &mut record.data,
            _ => &mut *text,
        };
        if script::change(part, &mut script).is_none() {
            break;
        }
    }
    if hashes & 1 == 0 {
        record.digest = whole(record, text);
    }
    if hashes & 2 != 0 {
        record.tag = *blake3::keyed_hash(&[u8::from(hashes & 4 != 0); 32], &record.digest).as_bytes();
    }
    let threads = if hashes & 8 == 0 { 1 } else { 2 };
    let own = Key::new(SECRET);
    let key = (hashes & 16 == 0).then_some(&own);

    let size = record.head.len() + record.data.len() + text.len();
    let (recalled, memory) = memory::most_during(|| record.recall(text.clone(), &NAME, key, threads));
    assert!(memory <= MEMORY_PER_BYTE * size + MEMORY, "{memory} bytes were taken for {size}");
    let is_genuine = key.is_some() && entry == genuine.entry;
    Some(match recalled {
        None => Outcome::Unreadable,
        Some(Recalled::Verified(recalled)) => {
            assert!(is_genuine, "what nobody signed counts as verified");
            assert!(recalled.0.is_proved() && *recalled.0.terms() == genuine.terms);
            Outcome::Verified
        }
        Some(Recalled::Unproved(image)) => {
            assert!(!is_genuine, "what was signed counts no more");
            let mut input = Input { module: genuine.module.clone(), terms: genuine.terms.clone(), image: *image };
            let outcome = image::check(&input);
            // As if the addresses were those that it was made for.
            input.terms.addressing = input.image.addressing.clone();
            match (outcome, image::check(&input)) {
                (Ok(_), _) | (_, Ok(_)) => Outcome::Accepted,
                _ => Outcome::Refused,
            }
        }
    })
}
