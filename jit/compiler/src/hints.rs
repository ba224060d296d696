//! Hints on branches: which side of an `if` or a `br_if` is the likely one.
//!
//! Source: WebAssembly Core 3.0, appendix on custom sections, `metadata.code.branch_hint`.

use wasmparser::BranchHintSectionReader;

/// The hints of one module. Without a section they are empty.
#[derive(Debug, Default)]
pub(crate) struct BranchHints {
    /// Function, offset in its body, whether the condition is likely to hold; in ascending order.
    hints: Vec<(u32, u32, bool)>,
}

/// The hints of one function: offset in its body, and whether the condition is likely to hold, in ascending order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FunctionHints<'a>(&'a [(u32, u32, bool)]);

impl BranchHints {
    /// Reads a section. One that is malformed, or whose functions or offsets are not in order, gives no hints: like every custom
    /// section it cannot make a module invalid.
    pub(crate) fn read(section: BranchHintSectionReader<'_>) -> Self {
        let mut hints = Vec::new();
        for function in section {
            let Ok(function) = function else { return Self::default() };
            for hint in function.hints {
                let Ok(hint) = hint else { return Self::default() };
                hints.push((function.func, hint.func_offset, hint.taken));
            }
        }
        let in_order = hints.is_sorted_by(|a, b| (a.0, a.1) < (b.0, b.1));
        if in_order { Self { hints } } else { Self::default() }
    }

    /// The hints of a function.
    pub(crate) fn of(&self, function: u32) -> FunctionHints<'_> {
        let start = self.hints.partition_point(|(of, ..)| *of < function);
        let end = self.hints.partition_point(|(of, ..)| *of <= function);
        FunctionHints(&self.hints[start..end])
    }
}

impl FunctionHints<'_> {
    /// Whether the condition of the branch at an offset is likely to hold, if there is a hint.
    pub(crate) fn at(self, offset: u32) -> Option<bool> {
        let at = self.0.binary_search_by_key(&offset, |(_, offset, _)| *offset).ok()?;
        Some(self.0[at].2)
    }
}
