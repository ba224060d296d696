//! Entries of a cache that anybody could have written: they count with this user's tag alone, and then as they were (T59).

use super::script::{self, Script};
use super::{MEMORY, MEMORY_PER_BYTE, PROGRAMS, memory};
use std::sync::LazyLock;
use wave_compiler::Module;
use wave_contract::digest::{Digest, digest};
use wave_verifier::{Key, Record, Signature, Terms, verify};

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
    terms: Terms,
}

static GENUINE: LazyLock<Vec<Genuine>> = LazyLock::new(|| {
    let entry = |program: &super::Compiled| {
        let verified = verify(program.image.clone(), &program.bytes, program.terms.clone(), 1);
        let (verified, _) = verified.expect("real code");
        let module = Module::parse(&program.bytes).expect("a module");
        let data = program.bytes[..program.bytes.len() / 2].to_vec();
        let record = verified.record(module.info(), data, &NAME, &Key::new(SECRET), 1);
        let record = record.expect("memory").expect("it was proved");
        let text = verified.into_code().text;
        assert!(signed(&record, &text, &NAME, SECRET) == record.signature, "what is signed below is what is signed");
        Genuine { entry: Entry { record, text }, terms: program.terms.clone() }
    };
    PROGRAMS.iter().map(entry).collect()
});

/// The signature that whoever knows a secret can make.
fn signed(record: &Record, text: &[u8], name: &Digest, secret: Digest) -> Signature {
    let parts = [&record.head, &record.data, text].map(|part| digest(part, 1));
    let whole = blake3::hash(&[&name[..], parts.as_flattened()].concat());
    let tag = blake3::keyed_hash(&secret, whole.as_bytes());
    let bytes = [parts.as_flattened(), tag.as_bytes()].concat();
    Signature::from_bytes(bytes.as_array().expect("four hashes"))
}

/// How far an entry gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// As it was written.
    Verified,
    /// As good as none.
    Refused,
}

/// Changes an entry as the script says, and does what a run does with it.
pub fn check(script: &[u8]) -> Option<Outcome> {
    let mut script = Script(script);
    let genuine = script.pick(&GENUINE)?;
    let mut entry = genuine.entry.clone();
    let Entry { record, text } = &mut entry;
    let flags = script.byte()?;
    while let Some(part) = script.byte() {
        let changed = match part % 5 {
            0 | 1 => script::change(&mut record.head, &mut script),
            2 => script::change(&mut record.data, &mut script),
            3 => script::change(text, &mut script),
            _ => {
                let mut bytes = record.signature.to_bytes();
                let changed = script::change(&mut bytes, &mut script);
                record.signature = bytes.as_array().map_or(record.signature, Signature::from_bytes);
                changed
            }
        };
        if changed.is_none() {
            break;
        }
    }
    // By another user, or by this one under another name.
    if flags & 2 != 0 {
        record.signature = match flags & 4 != 0 {
            true => signed(record, text, &NAME, [1; 32]),
            false => signed(record, text, &[6; 32], SECRET),
        };
    }
    let threads = if flags & 8 == 0 { 1 } else { 2 };
    let is_own = flags & 16 == 0;
    let key = Key::new(if is_own { SECRET } else { [43; 32] });

    let size = record.head.len() + record.data.len() + text.len();
    let (recalled, memory) = memory::most_during(|| record.recall(text.clone(), &NAME, &key, threads));
    assert!(memory <= MEMORY_PER_BYTE * size + MEMORY, "{memory} bytes were taken for {size}");
    let is_genuine = is_own && entry == genuine.entry;
    assert_eq!(recalled.is_some(), is_genuine, "what was signed counts, and nothing else");
    Some(match recalled {
        None => Outcome::Refused,
        Some((code, _)) => {
            assert!(code.is_proved() && *code.terms() == genuine.terms);
            Outcome::Verified
        }
    })
}
