//! `wave cache`: shows or clears the cache of verified code.

use crate::args::{Cache, CacheAction};
use crate::text::out;
use wave_engine::Failure;
use wave_engine::cache::{Contents, MAX_BYTES, has_key};

/// Looks after the cache; the result is the exit code.
///
/// # Errors
/// When there is no cache that could be looked at.
pub fn cache(arguments: &Cache) -> Result<u8, Failure> {
    let contents = Contents::read()?;
    let (place, programs, bytes) = (contents.path().display(), contents.programs(), contents.bytes());
    match arguments.action {
        CacheAction::Info => {
            let key = match has_key() {
                true => "in the kernel, until the machine restarts",
                false => "none: this kernel keeps no keys for us, so nothing is cached",
            };
            out(&format!(
                "directory:      {place}\nprograms:       {programs}\nbytes:          {bytes}, at most {MAX_BYTES}\nkey:            {key}\n"
            ));
        }
        CacheAction::Clear => {
            contents.clear()?;
            out(&format!("{programs} programs and {bytes} bytes less in {place}\n"));
        }
    }
    Ok(0)
}
