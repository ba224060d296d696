//! Files that say they are compiled programs: any bytes, with the hash that belongs to them (T59).

use super::image::{self, Input};
use super::script::{self, Script};
use super::{MEMORY, MEMORY_PER_BYTE, PROGRAMS, memory};
use std::sync::LazyLock;
use wave_compiler::Module;
use wave_contract::artifact::{Artifact, CodeSettings, MAGIC, Provenance, VERSION};
use wave_contract::context::{Addressing, FixedAddresses};
use wave_verifier::Terms;

/// What lies before and behind that of which a hash is made.
const HEAD_BYTES: usize = MAGIC.len() + size_of_val(&VERSION);

/// Files of the programs, without head and hash.
static BODIES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let body = |program: &super::Compiled| {
        let artifact = Artifact {
            origin: Provenance {
                wave: "0.0.0".to_owned(),
                module: [0; 32],
                settings: CodeSettings::default(),
                seed: 1,
            },
            module: program.bytes.clone(),
            signatures: program.terms.signatures.clone(),
            host_imports: program.terms.host_imports.clone(),
            image: program.image.clone(),
        };
        let bytes = artifact.to_bytes().expect("bytes");
        bytes[HEAD_BYTES..bytes.len() - blake3::OUT_LEN].to_vec()
    };
    PROGRAMS.iter().map(body).collect()
});

/// A file: the first byte of the script says of which program, or of none; what follows how its bytes are changed.
pub fn changed(script: &[u8]) -> Option<Vec<u8>> {
    let mut script = Script(script);
    let number = usize::from(script.byte()?);
    let body = match BODIES.get(number % (BODIES.len() + 1)) {
        Some(body) => {
            let mut body = body.clone();
            while !script.0.is_empty() && script::change(&mut body, &mut script).is_some() {}
            body
        }
        None => script.0.to_vec(),
    };
    let mut bytes = [&MAGIC[..], &VERSION.to_le_bytes(), &body].concat();
    bytes.extend_from_slice(blake3::hash(&bytes).as_bytes());
    Some(bytes)
}

/// How far a file gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Unreadable,
    /// It reads, and the module in it is none.
    NoModule,
    /// The code does not fit the module.
    Inconsistent,
    Refused,
    Accepted,
}

/// Does what `wave run` and `wave verify` do.
pub fn check(bytes: &[u8]) -> Outcome {
    let (read, memory) = memory::most_during(|| Artifact::read(bytes));
    assert!(memory <= MEMORY_PER_BYTE * bytes.len() + MEMORY, "{memory} bytes were taken for {}", bytes.len());
    let Ok(artifact) = read else { return Outcome::Unreadable };
    let again = artifact.to_bytes().expect("bytes");
    let same = Artifact::read(&again).expect("what was written");
    assert_eq!(format!("{same:?}"), format!("{artifact:?}"), "it reads back as it was");

    let Artifact { module, signatures, host_imports, image, .. } = artifact;
    let own = Terms { addressing: image.addressing.clone(), signatures, host_imports };
    // `wave verify` takes the file's own word for what it was made for.
    let verified = image::check(&Input { module: module.clone(), terms: own.clone(), image: image.clone() });
    let parsed = Module::parse(&module);
    let Ok(info) = parsed.as_ref().map(Module::info) else { return Outcome::NoModule };
    if let Ok((verified, _)) = &verified {
        verified.is_of(info).expect("both readers find the same");
    }
    // `wave run` goes by the module, and by where it has placed its objects.
    if image.check(info, &own.signatures, module.len()).is_err() {
        return Outcome::Inconsistent;
    }
    let imagined = FixedAddresses::imagined(info).map(Addressing::Fixed);
    if let Some(addressing) = imagined.filter(|imagined| *imagined != image.addressing) {
        let terms = Terms { addressing, ..own };
        let elsewhere = image::check(&Input { module: module.clone(), terms, image });
        assert!(elsewhere.is_err(), "code for other addresses is accepted");
    }
    if verified.is_ok() { Outcome::Accepted } else { Outcome::Refused }
}
