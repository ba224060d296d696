//! Mistakes that a compiler could make, for tests of what stops them. Without the feature `test-hooks`, which only development
//! dependencies ask for, none is ever made.

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mistake {
    /// An index is used with whatever is above its 32 bits.
    DroppedExtension = 1,
    /// Linear memory is taken to be where the context is.
    WrongBase,
    /// An indirect call does not compare its index with the length of the table.
    NoBound,
    /// An indirect call does not compare the signature.
    NoSignature,
    /// Large frames are not touched.
    NoProbe,
    /// A register of the caller is not what it was.
    ClobberedRegister,
    /// A jump table has an entry less than its bound says.
    LongJumpTable,
    /// A displacement leads past the guard of linear memory.
    FarDisplacement,
    /// The stack limit is written.
    WrittenContext,
    /// The first function of the module's own makes a system call of its arguments.
    SystemCall,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::DroppedExtension,
        Self::WrongBase,
        Self::NoBound,
        Self::NoSignature,
        Self::NoProbe,
        Self::ClobberedRegister,
        Self::LongJumpTable,
        Self::FarDisplacement,
        Self::WrittenContext,
        Self::SystemCall,
    ];

    /// Whether it is to be made.
    #[cfg(not(feature = "test-hooks"))]
    pub(crate) const fn is_made(self) -> bool {
        false
    }

    /// Whether it is to be made.
    #[cfg(feature = "test-hooks")]
    pub(crate) fn is_made(self) -> bool {
        hooks::MADE.load(std::sync::atomic::Ordering::Relaxed) == self as u8
    }

    /// Makes mistakes that a code generator would make in the code of a function. How many bytes there are before it now.
    pub(crate) fn in_code(function: u32, code: &mut Vec<u8>, start: usize) -> u32 {
        let mut before: &[u8] = &[];
        if Self::DroppedExtension.is_made() {
            // mov esi, edi; mov eax, [rsi + …]
            replace(&mut code[start..], &[0x8b, 0xf7, 0x8b, 0x86], &[0x66, 0x90, 0x8b, 0x87]);
        } else if Self::LongJumpTable.is_made() {
            // mov esi, 3; mov edi, edi
            replace(&mut code[start..], &[0xbe, 3, 0, 0, 0, 0x8b, 0xff], &[0xbe, 4, 0, 0, 0, 0x8b, 0xff]);
        } else if Self::ClobberedRegister.is_made() && function == 1 {
            // xor ebx, ebx
            before = &[0x31, 0xdb];
        } else if Self::SystemCall.is_made() && function == 1 {
            // mov rax, rdi; mov rdi, rsi; mov rsi, rdx; mov rdx, rcx; syscall
            before = &[0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6, 0x48, 0x89, 0xca, 0x0f, 0x05];
        }
        code.splice(start..start, before.iter().copied());
        u32::try_from(before.len()).unwrap_or(0)
    }
}

/// Replaces each occurrence.
fn replace<const N: usize>(code: &mut [u8], from: &[u8; N], to: &[u8; N]) {
    for at in 0..code.len() {
        if let Some(found) = code[at..].first_chunk_mut::<N>()
            && found == from
        {
            *found = *to;
        }
    }
}

/// What chooses a mistake.
#[cfg(feature = "test-hooks")]
pub mod hooks {
    use std::sync::atomic::{AtomicU8, Ordering};

    pub(super) static MADE: AtomicU8 = AtomicU8::new(0);

    /// From now on, code of this process has this mistake.
    pub fn make(mistake: super::Mistake) {
        MADE.store(mistake as u8, Ordering::Relaxed);
    }
}
