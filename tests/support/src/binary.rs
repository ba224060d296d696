//! Modules, byte by byte.
//!
//! Source: WebAssembly Core 2.0, binary format.

/// An unsigned number in LEB128.
#[must_use]
pub fn leb(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(n & 0x7f).expect("seven bits");
        n >>= 7;
        bytes.push(if n == 0 { low } else { low | 0x80 });
        if n == 0 {
            return bytes;
        }
    }
}

/// Bytes with their length before them.
#[must_use]
pub fn sized(bytes: &[u8]) -> Vec<u8> {
    [&leb(bytes.len()), bytes].concat()
}

/// A section with its number.
#[must_use]
pub fn section(id: u8, bytes: &[u8]) -> Vec<u8> {
    [&[id][..], &sized(bytes)].concat()
}
