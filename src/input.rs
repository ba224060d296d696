//! Module bytes from a file, standard input or text.

use crate::compiler::Refusal;
use crate::failure::Failure;
use crate::text::{chain, clean, note};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use wave_contract::artefact::Artefact;

/// Larger files are refused before they are read: nothing that size can be compiled.
const MAX_MODULE_BYTES: u64 = 1 << 30;

/// Reads a module, or the one in a compiled file, and says so. `-` is standard input; WebAssembly text is translated.
///
/// # Errors
/// 127 when there is no such file, 126 when it cannot be read or is not a module.
pub fn read_module(path: &Path) -> Result<Vec<u8>, Failure> {
    let file = read_file(path)?;
    announce(path, &file);
    binary(path, module_of(path, file)?)
}

/// Says of a compiled file that its code is another matter than the module in it.
pub fn announce(path: &Path, file: &[u8]) {
    if Artefact::is_one(file) {
        note(&format!(
            "wave: note: `{}` is a compiled file: this is about the module in it. Its code keeps to what that module declares, and may \
             do anything within\n",
            clean(&path.display().to_string())
        ));
    }
}

/// The binary form of what was read from `path`.
///
/// # Errors
/// 126 when it is no module.
pub fn binary(path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    match to_binary(&bytes).map_err(|refusal| refusal.failure(path))? {
        Cow::Owned(binary) => Ok(binary),
        Cow::Borrowed(_) => Ok(bytes),
    }
}

/// The binary form of a module: its bytes, or what its text means.
///
/// # Errors
/// When the bytes are neither, or the text is wrong.
pub fn to_binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Refusal> {
    if bytes.starts_with(b"\0asm") {
        return Ok(Cow::Borrowed(bytes));
    }
    let text = std::str::from_utf8(bytes).ok().filter(|text| looks_like_text(text));
    let Some(text) = text else {
        return Err(Refusal::Format(match bytes.get(..4) {
            None => format!("it has only {} bytes", bytes.len()),
            Some(start) => format!("it starts with `{}`", start.escape_ascii()),
        }));
    };
    // The file name is not given to the parser: it would repeat the path in front of each message.
    wat::parse_str(text).map(Cow::Owned).map_err(|error| {
        let message = error.to_string();
        let mut lines = message.lines();
        let what = lines.next().unwrap_or_default().to_owned();
        let position = lines.find_map(|line| line.trim().strip_prefix("--> ").map(|at| at.replace("<anon>", "")));
        Refusal::Text(what, position.unwrap_or_default())
    })
}

/// The module in a file that was read from `path`: all of it, unless it is a compiled one.
///
/// # Errors
/// 126 for a compiled file that is damaged.
pub fn module_of(path: &Path, file: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if !Artefact::is_one(&file) {
        return Ok(file);
    }
    let artefact = Artefact::read(&file);
    artefact
        .map(|artefact| artefact.module)
        .map_err(|error| Failure::not_runnable(chain(&error)).at(path.display().to_string()))
}

/// Reads the bytes of a file, or of standard input for `-`.
///
/// # Errors
/// 127 when there is no such file, 126 when it cannot be read.
pub fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    if path == Path::new("-") {
        return read_all(io::stdin().lock()).map_err(|error| unreadable("standard input", &error));
    }
    let place = path.display().to_string();
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Failure::not_found(format!("no module `{place}`")).fix("check the path; it is not searched for in PATH")
        }
        _ => unreadable(&place, &error),
    })?;
    // A FIFO would have blocked already and a directory fails here.
    read_all(file).map_err(|error| unreadable(&place, &error))
}

fn read_all(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MAX_MODULE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_MODULE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 GiB"));
    }
    Ok(bytes)
}

fn unreadable(place: &str, error: &io::Error) -> Failure {
    Failure::not_runnable(format!("cannot read the module: {error}")).at(place)
}

/// Text starts with a parenthesis or a comment.
fn looks_like_text(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('(') || text.starts_with(";;")
}
