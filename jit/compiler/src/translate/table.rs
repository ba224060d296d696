//! Tables and references.

use super::Translator;
use crate::emit::trap_code;
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use wave_contract::libcall::Libcall;
use wave_contract::trap::TrapCode;

impl Translator<'_, '_> {
    pub(super) fn table_size(&mut self, table: u32) {
        let len = self.e.table_len(table);
        let wide = self.e.env.info.tables[table as usize].wide;
        let len = if wide { self.ins().uextend(I64, len) } else { len };
        self.push(len);
    }

    pub(super) fn table_grow(&mut self, table: u32) {
        self.libcall(Libcall::TableGrow, &[table], 2);
        if self.e.env.info.tables[table as usize].wide {
            self.widen_size();
        }
    }

    pub(super) fn ref_null(&mut self) {
        let null = self.ins().iconst(I32, 0);
        self.push(null);
    }

    pub(super) fn ref_as_non_null(&mut self) {
        let reference = self.pop();
        self.ins().trapz(reference, trap_code(TrapCode::NullReference));
        self.push(reference);
    }

    pub(super) fn ref_is_null(&mut self) {
        let reference = self.pop();
        let null = self.ins().icmp_imm_u(IntCC::Equal, reference, 0);
        self.push(null);
    }
}
