//! The instructions that code may consist of (T66, T69), by what they do to general-purpose registers, memory and control.
//!
//! The list names encodings, not mnemonics, so that an encoding which a later decoder knows is refused until it is added here.

use iced_x86::Code::{self, *};

/// What an instruction does. The first operand is the destination; `Vector` registers hold nothing that is tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Copies the second operand.
    Move,
    /// Copies a narrower second operand, the rest zero.
    MoveZero,
    /// Copies a narrower second operand, the rest its sign.
    MoveSign,
    /// The address of the second operand.
    Address,
    /// Adds the second operand to the first.
    Add,
    /// Subtracts the second operand from the first.
    Subtract,
    /// The common bits of two operands.
    And,
    /// Shifts the first operand to higher bits by the second.
    ShiftLeft,
    /// Shifts the first operand to lower bits by the second; zeros come in.
    ShiftRight,
    /// Changes the first operand in a way that is not tracked; sets flags.
    Compute,
    /// Writes the first operand and reads the others; leaves or sets flags.
    Produce,
    /// Writes the place of a bit in the second operand to the first; all 64 bits of that stay as they were if there is none. So do
    /// LZCNT and TZCNT on a processor that does not know them.
    Search,
    /// Writes the first two operands, reads the third and RDX.
    Multiply2,
    /// RDX:RAX becomes a product; that of bytes is in AX alone.
    Multiply,
    /// RDX:RAX becomes quotient and remainder; faults.
    Divide,
    /// RDX becomes the sign of RAX.
    SignToRdx,
    /// Compares two operands.
    Compare,
    /// As `Compare`, by their common bits.
    Test,
    /// Tests one bit of a register.
    BitTest,
    /// Copies the second operand if a condition holds.
    MoveIf,
    /// The first operand becomes 0 or 1.
    SetIf,
    /// Compares vector operands.
    VectorCompare,
    /// Reads and writes operands; those that are vectors are not followed.
    Vector,
    /// Stores 64 bits below the stack pointer, which moves there.
    Push,
    /// Loads 64 bits from the stack pointer, which moves above them.
    Pop,
    /// Calls what is at a constant distance.
    Call,
    /// Calls what the operand holds.
    CallIndirect,
    /// Jumps to what is at a constant distance.
    Jump,
    /// Jumps to what the operand holds.
    JumpIndirect,
    /// Jumps to what is at a constant distance, if a condition holds.
    JumpIf,
    /// Returns.
    Return,
    /// Changes nothing.
    Nothing,
    /// A fault on purpose.
    Undefined,
}

/// What an encoding does. `None`: it is not allowed.
pub fn kind(code: Code) -> Option<Kind> {
    Some(match code {
        Mov_rm8_r8 | Mov_rm16_r16 | Mov_rm32_r32 | Mov_rm64_r64 | Mov_r8_rm8 | Mov_r16_rm16 | Mov_r32_rm32
        | Mov_r64_rm64 | Mov_r8_imm8 | Mov_r16_imm16 | Mov_r32_imm32 | Mov_r64_imm64 | Mov_rm8_imm8
        | Mov_rm16_imm16 | Mov_rm32_imm32 | Mov_rm64_imm32 => Kind::Move,
        Movzx_r32_rm8 | Movzx_r64_rm8 | Movzx_r32_rm16 | Movzx_r64_rm16 => Kind::MoveZero,
        Movsx_r32_rm8 | Movsx_r64_rm8 | Movsx_r32_rm16 | Movsx_r64_rm16 | Movsxd_r64_rm32 => Kind::MoveSign,
        Lea_r32_m | Lea_r64_m => Kind::Address,
        Add_rm8_r8 | Add_rm16_r16 | Add_rm32_r32 | Add_rm64_r64 | Add_r8_rm8 | Add_r16_rm16 | Add_r32_rm32
        | Add_r64_rm64 | Add_AL_imm8 | Add_AX_imm16 | Add_EAX_imm32 | Add_RAX_imm32 | Add_rm8_imm8 | Add_rm16_imm16
        | Add_rm32_imm32 | Add_rm64_imm32 | Add_rm16_imm8 | Add_rm32_imm8 | Add_rm64_imm8 => Kind::Add,
        Sub_rm8_r8 | Sub_rm16_r16 | Sub_rm32_r32 | Sub_rm64_r64 | Sub_r8_rm8 | Sub_r16_rm16 | Sub_r32_rm32
        | Sub_r64_rm64 | Sub_AL_imm8 | Sub_AX_imm16 | Sub_EAX_imm32 | Sub_RAX_imm32 | Sub_rm8_imm8 | Sub_rm16_imm16
        | Sub_rm32_imm32 | Sub_rm64_imm32 | Sub_rm16_imm8 | Sub_rm32_imm8 | Sub_rm64_imm8 => Kind::Subtract,
        And_rm8_r8 | And_rm16_r16 | And_rm32_r32 | And_rm64_r64 | And_r8_rm8 | And_r16_rm16 | And_r32_rm32
        | And_r64_rm64 | And_AL_imm8 | And_AX_imm16 | And_EAX_imm32 | And_RAX_imm32 | And_rm8_imm8 | And_rm16_imm16
        | And_rm32_imm32 | And_rm64_imm32 | And_rm16_imm8 | And_rm32_imm8 | And_rm64_imm8 => Kind::And,
        Shl_rm32_imm8 | Shl_rm64_imm8 | Shl_rm32_1 | Shl_rm64_1 => Kind::ShiftLeft,
        Shr_rm32_imm8 | Shr_rm64_imm8 | Shr_rm32_1 | Shr_rm64_1 => Kind::ShiftRight,
        Or_rm8_r8 | Or_rm16_r16 | Or_rm32_r32 | Or_rm64_r64 | Or_r8_rm8 | Or_r16_rm16 | Or_r32_rm32 | Or_r64_rm64
        | Or_AL_imm8 | Or_AX_imm16 | Or_EAX_imm32 | Or_RAX_imm32 | Or_rm8_imm8 | Or_rm16_imm16 | Or_rm32_imm32
        | Or_rm64_imm32 | Or_rm16_imm8 | Or_rm32_imm8 | Or_rm64_imm8 | Xor_rm8_r8 | Xor_rm16_r16 | Xor_rm32_r32
        | Xor_rm64_r64 | Xor_r8_rm8 | Xor_r16_rm16 | Xor_r32_rm32 | Xor_r64_rm64 | Xor_AL_imm8 | Xor_AX_imm16
        | Xor_EAX_imm32 | Xor_RAX_imm32 | Xor_rm8_imm8 | Xor_rm16_imm16 | Xor_rm32_imm32 | Xor_rm64_imm32
        | Xor_rm16_imm8 | Xor_rm32_imm8 | Xor_rm64_imm8 | Adc_rm32_r32 | Adc_rm64_r64 | Adc_r32_rm32 | Adc_r64_rm64
        | Adc_rm32_imm8 | Adc_rm64_imm8 | Adc_rm32_imm32 | Adc_rm64_imm32 | Sbb_rm32_r32 | Sbb_rm64_r64
        | Sbb_r32_rm32 | Sbb_r64_rm64 | Sbb_rm32_imm8 | Sbb_rm64_imm8 | Sbb_rm32_imm32 | Sbb_rm64_imm32 | Not_rm8
        | Not_rm16 | Not_rm32 | Not_rm64 | Neg_rm8 | Neg_rm16 | Neg_rm32 | Neg_rm64 | Inc_rm32 | Inc_rm64
        | Dec_rm32 | Dec_rm64 | Imul_r16_rm16 | Imul_r32_rm32 | Imul_r64_rm64 | Shl_rm8_CL | Shl_rm16_CL
        | Shl_rm32_CL | Shl_rm64_CL | Shl_rm8_imm8 | Shl_rm16_imm8 | Shl_rm8_1 | Shl_rm16_1 | Shr_rm8_CL
        | Shr_rm16_CL | Shr_rm32_CL | Shr_rm64_CL | Shr_rm8_imm8 | Shr_rm16_imm8 | Shr_rm8_1 | Shr_rm16_1
        | Sar_rm8_CL | Sar_rm16_CL | Sar_rm32_CL | Sar_rm64_CL | Sar_rm8_imm8 | Sar_rm16_imm8 | Sar_rm32_imm8
        | Sar_rm64_imm8 | Sar_rm8_1 | Sar_rm16_1 | Sar_rm32_1 | Sar_rm64_1 | Rol_rm8_CL | Rol_rm16_CL | Rol_rm32_CL
        | Rol_rm64_CL | Rol_rm8_imm8 | Rol_rm16_imm8 | Rol_rm32_imm8 | Rol_rm64_imm8 | Rol_rm32_1 | Rol_rm64_1
        | Ror_rm8_CL | Ror_rm16_CL | Ror_rm32_CL | Ror_rm64_CL | Ror_rm8_imm8 | Ror_rm16_imm8 | Ror_rm32_imm8
        | Ror_rm64_imm8 | Ror_rm32_1 | Ror_rm64_1 | Shld_rm32_r32_imm8 | Shld_rm64_r64_imm8 | Bswap_r32 | Bswap_r64 => {
            Kind::Compute
        }
        Imul_r16_rm16_imm16
        | Imul_r32_rm32_imm32
        | Imul_r64_rm64_imm32
        | Imul_r16_rm16_imm8
        | Imul_r32_rm32_imm8
        | Imul_r64_rm64_imm8
        | Popcnt_r32_rm32
        | Popcnt_r64_rm64
        | VEX_Andn_r32_r32_rm32
        | VEX_Andn_r64_r64_rm64
        | VEX_Blsi_r32_rm32
        | VEX_Blsi_r64_rm64
        | VEX_Blsr_r32_rm32
        | VEX_Blsr_r64_rm64
        | VEX_Blsmsk_r32_rm32
        | VEX_Blsmsk_r64_rm64
        | VEX_Bzhi_r32_rm32_r32
        | VEX_Bzhi_r64_rm64_r64
        | VEX_Rorx_r32_rm32_imm8
        | VEX_Rorx_r64_rm64_imm8
        | VEX_Shlx_r32_rm32_r32
        | VEX_Shlx_r64_rm64_r64
        | VEX_Shrx_r32_rm32_r32
        | VEX_Shrx_r64_rm64_r64
        | VEX_Sarx_r32_rm32_r32
        | VEX_Sarx_r64_rm64_r64 => Kind::Produce,
        Bsf_r32_rm32 | Bsf_r64_rm64 | Bsr_r32_rm32 | Bsr_r64_rm64 | Lzcnt_r32_rm32 | Lzcnt_r64_rm64
        | Tzcnt_r32_rm32 | Tzcnt_r64_rm64 => Kind::Search,
        VEX_Mulx_r32_r32_rm32 | VEX_Mulx_r64_r64_rm64 => Kind::Multiply2,
        Mul_rm8 | Mul_rm16 | Mul_rm32 | Mul_rm64 | Imul_rm8 | Imul_rm16 | Imul_rm32 | Imul_rm64 => Kind::Multiply,
        Div_rm32 | Div_rm64 | Idiv_rm32 | Idiv_rm64 => Kind::Divide,
        Cdq | Cqo => Kind::SignToRdx,
        Cmp_rm8_r8 | Cmp_rm16_r16 | Cmp_rm32_r32 | Cmp_rm64_r64 | Cmp_r8_rm8 | Cmp_r16_rm16 | Cmp_r32_rm32
        | Cmp_r64_rm64 | Cmp_AL_imm8 | Cmp_AX_imm16 | Cmp_EAX_imm32 | Cmp_RAX_imm32 | Cmp_rm8_imm8 | Cmp_rm16_imm16
        | Cmp_rm32_imm32 | Cmp_rm64_imm32 | Cmp_rm16_imm8 | Cmp_rm32_imm8 | Cmp_rm64_imm8 => Kind::Compare,
        Test_rm8_r8 | Test_rm16_r16 | Test_rm32_r32 | Test_rm64_r64 | Test_AL_imm8 | Test_AX_imm16 | Test_EAX_imm32
        | Test_RAX_imm32 | Test_rm8_imm8 | Test_rm16_imm16 | Test_rm32_imm32 | Test_rm64_imm32 => Kind::Test,
        Bt_rm32_imm8 | Bt_rm64_imm8 | Bt_rm32_r32 | Bt_rm64_r64 => Kind::BitTest,
        Cmova_r32_rm32 | Cmova_r64_rm64 | Cmovae_r32_rm32 | Cmovae_r64_rm64 | Cmovb_r32_rm32 | Cmovb_r64_rm64
        | Cmovbe_r32_rm32 | Cmovbe_r64_rm64 | Cmove_r32_rm32 | Cmove_r64_rm64 | Cmovne_r32_rm32 | Cmovne_r64_rm64
        | Cmovg_r32_rm32 | Cmovg_r64_rm64 | Cmovge_r32_rm32 | Cmovge_r64_rm64 | Cmovl_r32_rm32 | Cmovl_r64_rm64
        | Cmovle_r32_rm32 | Cmovle_r64_rm64 | Cmovo_r32_rm32 | Cmovo_r64_rm64 | Cmovno_r32_rm32 | Cmovno_r64_rm64
        | Cmovs_r32_rm32 | Cmovs_r64_rm64 | Cmovns_r32_rm32 | Cmovns_r64_rm64 | Cmovp_r32_rm32 | Cmovp_r64_rm64
        | Cmovnp_r32_rm32 | Cmovnp_r64_rm64 => Kind::MoveIf,
        Seta_rm8 | Setae_rm8 | Setb_rm8 | Setbe_rm8 | Sete_rm8 | Setne_rm8 | Setg_rm8 | Setge_rm8 | Setl_rm8
        | Setle_rm8 | Seto_rm8 | Setno_rm8 | Sets_rm8 | Setns_rm8 | Setp_rm8 | Setnp_rm8 => Kind::SetIf,
        Push_r64 => Kind::Push,
        Pop_r64 => Kind::Pop,
        Call_rel32_64 => Kind::Call,
        Call_rm64 => Kind::CallIndirect,
        Jmp_rel8_64 | Jmp_rel32_64 => Kind::Jump,
        Jmp_rm64 => Kind::JumpIndirect,
        Ja_rel8_64 | Jae_rel8_64 | Jb_rel8_64 | Jbe_rel8_64 | Je_rel8_64 | Jne_rel8_64 | Jg_rel8_64 | Jge_rel8_64
        | Jl_rel8_64 | Jle_rel8_64 | Jo_rel8_64 | Jno_rel8_64 | Js_rel8_64 | Jns_rel8_64 | Jp_rel8_64 | Jnp_rel8_64
        | Ja_rel32_64 | Jae_rel32_64 | Jb_rel32_64 | Jbe_rel32_64 | Je_rel32_64 | Jne_rel32_64 | Jg_rel32_64
        | Jge_rel32_64 | Jl_rel32_64 | Jle_rel32_64 | Jo_rel32_64 | Jno_rel32_64 | Js_rel32_64 | Jns_rel32_64
        | Jp_rel32_64 | Jnp_rel32_64 => Kind::JumpIf,
        Retnq | Retnq_imm16 => Kind::Return,
        Nopw | Nopd | Nop_rm16 | Nop_rm32 => Kind::Nothing,
        Ud2 => Kind::Undefined,
        _ => return vector(code),
    })
}

/// Vector instructions.
fn vector(code: Code) -> Option<Kind> {
    Some(match code {
        Ucomiss_xmm_xmmm32
        | Ucomisd_xmm_xmmm64
        | VEX_Vucomiss_xmm_xmmm32
        | VEX_Vucomisd_xmm_xmmm64
        | VEX_Vptest_xmm_xmmm128 => Kind::VectorCompare,
        Addss_xmm_xmmm32
        | Andps_xmm_xmmm128
        | Andpd_xmm_xmmm128
        | Orps_xmm_xmmm128
        | Orpd_xmm_xmmm128
        | Minss_xmm_xmmm32
        | Minsd_xmm_xmmm64
        | Maxss_xmm_xmmm32
        | Maxsd_xmm_xmmm64
        | Movss_xmm_xmmm32
        | Movss_xmmm32_xmm
        | Movsd_xmm_xmmm64
        | Movsd_xmmm64_xmm
        | Movups_xmm_xmmm128
        | Movups_xmmm128_xmm
        | Movupd_xmm_xmmm128
        | Movupd_xmmm128_xmm
        | Movapd_xmm_xmmm128
        | Addsd_xmm_xmmm64
        | Subss_xmm_xmmm32
        | Subsd_xmm_xmmm64
        | Cvtsi2ss_xmm_rm64
        | Cvtsi2sd_xmm_rm64
        | Cvttsd2si_r32_xmmm64
        | Cvttsd2si_r64_xmmm64
        | Cvttss2si_r32_xmmm32
        | Cvttss2si_r64_xmmm32
        | Movaps_xmm_xmmm128
        | Movdqa_xmm_xmmm128
        | Movdqu_xmm_xmmm128
        | Movdqu_xmmm128_xmm
        | Movq_xmm_rm64
        | Movd_xmm_rm32
        | Xorpd_xmm_xmmm128
        | Xorps_xmm_xmmm128
        | VEX_Vaddpd_xmm_xmm_xmmm128
        | VEX_Vaddps_xmm_xmm_xmmm128
        | VEX_Vaddsd_xmm_xmm_xmmm64
        | VEX_Vaddss_xmm_xmm_xmmm32
        | VEX_Vandnpd_xmm_xmm_xmmm128
        | VEX_Vandnps_xmm_xmm_xmmm128
        | VEX_Vandpd_xmm_xmm_xmmm128
        | VEX_Vandps_xmm_xmm_xmmm128
        | VEX_Vblendvpd_xmm_xmm_xmmm128_xmm
        | VEX_Vblendvps_xmm_xmm_xmmm128_xmm
        | VEX_Vbroadcastss_xmm_m32
        | VEX_Vbroadcastss_xmm_xmm
        | VEX_Vcmppd_xmm_xmm_xmmm128_imm8
        | VEX_Vcmpps_xmm_xmm_xmmm128_imm8
        | VEX_Vcmpsd_xmm_xmm_xmmm64_imm8
        | VEX_Vcmpss_xmm_xmm_xmmm32_imm8
        | VEX_Vcvtdq2pd_xmm_xmmm64
        | VEX_Vcvtdq2ps_xmm_xmmm128
        | VEX_Vcvtpd2ps_xmm_xmmm128
        | VEX_Vcvtps2pd_xmm_xmmm64
        | VEX_Vcvtsd2si_r32_xmmm64
        | VEX_Vcvtsd2si_r64_xmmm64
        | VEX_Vcvtsd2ss_xmm_xmm_xmmm64
        | VEX_Vcvtsi2sd_xmm_xmm_rm32
        | VEX_Vcvtsi2sd_xmm_xmm_rm64
        | VEX_Vcvtsi2ss_xmm_xmm_rm32
        | VEX_Vcvtsi2ss_xmm_xmm_rm64
        | VEX_Vcvtss2sd_xmm_xmm_xmmm32
        | VEX_Vcvtss2si_r32_xmmm32
        | VEX_Vcvtss2si_r64_xmmm32
        | VEX_Vcvttpd2dq_xmm_xmmm128
        | VEX_Vcvttps2dq_xmm_xmmm128
        | VEX_Vcvttsd2si_r32_xmmm64
        | VEX_Vcvttsd2si_r64_xmmm64
        | VEX_Vcvttss2si_r32_xmmm32
        | VEX_Vcvttss2si_r64_xmmm32
        | VEX_Vdivpd_xmm_xmm_xmmm128
        | VEX_Vdivps_xmm_xmm_xmmm128
        | VEX_Vdivsd_xmm_xmm_xmmm64
        | VEX_Vdivss_xmm_xmm_xmmm32
        | VEX_Vextractps_r64m32_xmm_imm8
        | VEX_Vextractps_rm32_xmm_imm8
        | VEX_Vfmadd132pd_xmm_xmm_xmmm128
        | VEX_Vfmadd132ps_xmm_xmm_xmmm128
        | VEX_Vfmadd213pd_xmm_xmm_xmmm128
        | VEX_Vfmadd213ps_xmm_xmm_xmmm128
        | VEX_Vfmsub132pd_xmm_xmm_xmmm128
        | VEX_Vfmsub132ps_xmm_xmm_xmmm128
        | VEX_Vfmsub213pd_xmm_xmm_xmmm128
        | VEX_Vfmsub213ps_xmm_xmm_xmmm128
        | VEX_Vfnmadd132pd_xmm_xmm_xmmm128
        | VEX_Vfnmadd132ps_xmm_xmm_xmmm128
        | VEX_Vfnmadd213pd_xmm_xmm_xmmm128
        | VEX_Vfnmadd213ps_xmm_xmm_xmmm128
        | VEX_Vfnmsub132pd_xmm_xmm_xmmm128
        | VEX_Vfnmsub132ps_xmm_xmm_xmmm128
        | VEX_Vfnmsub213pd_xmm_xmm_xmmm128
        | VEX_Vfnmsub213ps_xmm_xmm_xmmm128
        | VEX_Vinsertps_xmm_xmm_xmmm32_imm8
        | VEX_Vmaxpd_xmm_xmm_xmmm128
        | VEX_Vmaxps_xmm_xmm_xmmm128
        | VEX_Vmaxsd_xmm_xmm_xmmm64
        | VEX_Vmaxss_xmm_xmm_xmmm32
        | VEX_Vminpd_xmm_xmm_xmmm128
        | VEX_Vminps_xmm_xmm_xmmm128
        | VEX_Vminsd_xmm_xmm_xmmm64
        | VEX_Vminss_xmm_xmm_xmmm32
        | VEX_Vmovapd_xmm_xmmm128
        | VEX_Vmovapd_xmmm128_xmm
        | VEX_Vmovaps_xmm_xmmm128
        | VEX_Vmovaps_xmmm128_xmm
        | VEX_Vmovd_rm32_xmm
        | VEX_Vmovd_xmm_rm32
        | VEX_Vmovddup_xmm_xmmm64
        | VEX_Vmovdqa_xmm_xmmm128
        | VEX_Vmovdqa_xmmm128_xmm
        | VEX_Vmovdqu_xmm_xmmm128
        | VEX_Vmovdqu_xmmm128_xmm
        | VEX_Vmovhps_m64_xmm
        | VEX_Vmovhps_xmm_xmm_m64
        | VEX_Vmovlhps_xmm_xmm_xmm
        | VEX_Vmovmskpd_r32_xmm
        | VEX_Vmovmskpd_r64_xmm
        | VEX_Vmovmskps_r32_xmm
        | VEX_Vmovmskps_r64_xmm
        | VEX_Vmovq_rm64_xmm
        | VEX_Vmovq_xmm_rm64
        | VEX_Vmovq_xmm_xmmm64
        | VEX_Vmovq_xmmm64_xmm
        | VEX_Vmovsd_m64_xmm
        | VEX_Vmovsd_xmm_m64
        | VEX_Vmovsd_xmm_xmm_xmm
        | VEX_Vmovsd_xmm_xmm_xmm_0F11
        | VEX_Vmovss_m32_xmm
        | VEX_Vmovss_xmm_m32
        | VEX_Vmovss_xmm_xmm_xmm
        | VEX_Vmovss_xmm_xmm_xmm_0F11
        | VEX_Vmovupd_xmm_xmmm128
        | VEX_Vmovupd_xmmm128_xmm
        | VEX_Vmovups_xmm_xmmm128
        | VEX_Vmovups_xmmm128_xmm
        | VEX_Vmulpd_xmm_xmm_xmmm128
        | VEX_Vmulps_xmm_xmm_xmmm128
        | VEX_Vmulsd_xmm_xmm_xmmm64
        | VEX_Vmulss_xmm_xmm_xmmm32
        | VEX_Vorpd_xmm_xmm_xmmm128
        | VEX_Vorps_xmm_xmm_xmmm128
        | VEX_Vpabsb_xmm_xmmm128
        | VEX_Vpabsd_xmm_xmmm128
        | VEX_Vpabsw_xmm_xmmm128
        | VEX_Vpackssdw_xmm_xmm_xmmm128
        | VEX_Vpacksswb_xmm_xmm_xmmm128
        | VEX_Vpackusdw_xmm_xmm_xmmm128
        | VEX_Vpackuswb_xmm_xmm_xmmm128
        | VEX_Vpaddb_xmm_xmm_xmmm128
        | VEX_Vpaddd_xmm_xmm_xmmm128
        | VEX_Vpaddq_xmm_xmm_xmmm128
        | VEX_Vpaddsb_xmm_xmm_xmmm128
        | VEX_Vpaddsw_xmm_xmm_xmmm128
        | VEX_Vpaddusb_xmm_xmm_xmmm128
        | VEX_Vpaddusw_xmm_xmm_xmmm128
        | VEX_Vpaddw_xmm_xmm_xmmm128
        | VEX_Vpalignr_xmm_xmm_xmmm128_imm8
        | VEX_Vpand_xmm_xmm_xmmm128
        | VEX_Vpandn_xmm_xmm_xmmm128
        | VEX_Vpavgb_xmm_xmm_xmmm128
        | VEX_Vpavgw_xmm_xmm_xmmm128
        | VEX_Vpblendvb_xmm_xmm_xmmm128_xmm
        | VEX_Vpblendw_xmm_xmm_xmmm128_imm8
        | VEX_Vpbroadcastb_xmm_xmmm8
        | VEX_Vpbroadcastd_xmm_xmmm32
        | VEX_Vpbroadcastq_xmm_xmmm64
        | VEX_Vpbroadcastw_xmm_xmmm16
        | VEX_Vpcmpeqb_xmm_xmm_xmmm128
        | VEX_Vpcmpeqd_xmm_xmm_xmmm128
        | VEX_Vpcmpeqq_xmm_xmm_xmmm128
        | VEX_Vpcmpeqw_xmm_xmm_xmmm128
        | VEX_Vpcmpgtb_xmm_xmm_xmmm128
        | VEX_Vpcmpgtd_xmm_xmm_xmmm128
        | VEX_Vpcmpgtq_xmm_xmm_xmmm128
        | VEX_Vpcmpgtw_xmm_xmm_xmmm128
        | VEX_Vpextrb_r32m8_xmm_imm8
        | VEX_Vpextrb_r64m8_xmm_imm8
        | VEX_Vpextrd_rm32_xmm_imm8
        | VEX_Vpextrq_rm64_xmm_imm8
        | VEX_Vpextrw_r32_xmm_imm8
        | VEX_Vpextrw_r32m16_xmm_imm8
        | VEX_Vpextrw_r64_xmm_imm8
        | VEX_Vpextrw_r64m16_xmm_imm8
        | VEX_Vphaddd_xmm_xmm_xmmm128
        | VEX_Vphaddw_xmm_xmm_xmmm128
        | VEX_Vpinsrb_xmm_xmm_r32m8_imm8
        | VEX_Vpinsrb_xmm_xmm_r64m8_imm8
        | VEX_Vpinsrd_xmm_xmm_rm32_imm8
        | VEX_Vpinsrq_xmm_xmm_rm64_imm8
        | VEX_Vpinsrw_xmm_xmm_r32m16_imm8
        | VEX_Vpinsrw_xmm_xmm_r64m16_imm8
        | VEX_Vpmaddubsw_xmm_xmm_xmmm128
        | VEX_Vpmaddwd_xmm_xmm_xmmm128
        | VEX_Vpmaxsb_xmm_xmm_xmmm128
        | VEX_Vpmaxsd_xmm_xmm_xmmm128
        | VEX_Vpmaxsw_xmm_xmm_xmmm128
        | VEX_Vpmaxub_xmm_xmm_xmmm128
        | VEX_Vpmaxud_xmm_xmm_xmmm128
        | VEX_Vpmaxuw_xmm_xmm_xmmm128
        | VEX_Vpminsb_xmm_xmm_xmmm128
        | VEX_Vpminsd_xmm_xmm_xmmm128
        | VEX_Vpminsw_xmm_xmm_xmmm128
        | VEX_Vpminub_xmm_xmm_xmmm128
        | VEX_Vpminud_xmm_xmm_xmmm128
        | VEX_Vpminuw_xmm_xmm_xmmm128
        | VEX_Vpmovmskb_r32_xmm
        | VEX_Vpmovmskb_r64_xmm
        | VEX_Vpmovsxbd_xmm_xmmm32
        | VEX_Vpmovsxbq_xmm_xmmm16
        | VEX_Vpmovsxbw_xmm_xmmm64
        | VEX_Vpmovsxdq_xmm_xmmm64
        | VEX_Vpmovsxwd_xmm_xmmm64
        | VEX_Vpmovsxwq_xmm_xmmm32
        | VEX_Vpmovzxbd_xmm_xmmm32
        | VEX_Vpmovzxbq_xmm_xmmm16
        | VEX_Vpmovzxbw_xmm_xmmm64
        | VEX_Vpmovzxdq_xmm_xmmm64
        | VEX_Vpmovzxwd_xmm_xmmm64
        | VEX_Vpmovzxwq_xmm_xmmm32
        | VEX_Vpmuldq_xmm_xmm_xmmm128
        | VEX_Vpmulhrsw_xmm_xmm_xmmm128
        | VEX_Vpmulhuw_xmm_xmm_xmmm128
        | VEX_Vpmulhw_xmm_xmm_xmmm128
        | VEX_Vpmulld_xmm_xmm_xmmm128
        | VEX_Vpmullw_xmm_xmm_xmmm128
        | VEX_Vpmuludq_xmm_xmm_xmmm128
        | VEX_Vpor_xmm_xmm_xmmm128
        | VEX_Vpshufb_xmm_xmm_xmmm128
        | VEX_Vpshufd_xmm_xmmm128_imm8
        | VEX_Vpshufhw_xmm_xmmm128_imm8
        | VEX_Vpshuflw_xmm_xmmm128_imm8
        | VEX_Vpslld_xmm_xmm_imm8
        | VEX_Vpslld_xmm_xmm_xmmm128
        | VEX_Vpsllq_xmm_xmm_imm8
        | VEX_Vpsllq_xmm_xmm_xmmm128
        | VEX_Vpsllw_xmm_xmm_imm8
        | VEX_Vpsllw_xmm_xmm_xmmm128
        | VEX_Vpsrad_xmm_xmm_imm8
        | VEX_Vpsrad_xmm_xmm_xmmm128
        | VEX_Vpsraw_xmm_xmm_imm8
        | VEX_Vpsraw_xmm_xmm_xmmm128
        | VEX_Vpsrld_xmm_xmm_imm8
        | VEX_Vpsrld_xmm_xmm_xmmm128
        | VEX_Vpsrlq_xmm_xmm_imm8
        | VEX_Vpsrlq_xmm_xmm_xmmm128
        | VEX_Vpsrlw_xmm_xmm_imm8
        | VEX_Vpsrlw_xmm_xmm_xmmm128
        | VEX_Vpsubb_xmm_xmm_xmmm128
        | VEX_Vpsubd_xmm_xmm_xmmm128
        | VEX_Vpsubq_xmm_xmm_xmmm128
        | VEX_Vpsubsb_xmm_xmm_xmmm128
        | VEX_Vpsubsw_xmm_xmm_xmmm128
        | VEX_Vpsubusb_xmm_xmm_xmmm128
        | VEX_Vpsubusw_xmm_xmm_xmmm128
        | VEX_Vpsubw_xmm_xmm_xmmm128
        | VEX_Vpunpckhbw_xmm_xmm_xmmm128
        | VEX_Vpunpckhdq_xmm_xmm_xmmm128
        | VEX_Vpunpckhqdq_xmm_xmm_xmmm128
        | VEX_Vpunpckhwd_xmm_xmm_xmmm128
        | VEX_Vpunpcklbw_xmm_xmm_xmmm128
        | VEX_Vpunpckldq_xmm_xmm_xmmm128
        | VEX_Vpunpcklqdq_xmm_xmm_xmmm128
        | VEX_Vpunpcklwd_xmm_xmm_xmmm128
        | VEX_Vpxor_xmm_xmm_xmmm128
        | VEX_Vrcpps_xmm_xmmm128
        | VEX_Vrcpss_xmm_xmm_xmmm32
        | VEX_Vroundpd_xmm_xmmm128_imm8
        | VEX_Vroundps_xmm_xmmm128_imm8
        | VEX_Vroundsd_xmm_xmm_xmmm64_imm8
        | VEX_Vroundss_xmm_xmm_xmmm32_imm8
        | VEX_Vrsqrtps_xmm_xmmm128
        | VEX_Vrsqrtss_xmm_xmm_xmmm32
        | VEX_Vshufpd_xmm_xmm_xmmm128_imm8
        | VEX_Vshufps_xmm_xmm_xmmm128_imm8
        | VEX_Vsqrtpd_xmm_xmmm128
        | VEX_Vsqrtps_xmm_xmmm128
        | VEX_Vsqrtsd_xmm_xmm_xmmm64
        | VEX_Vsqrtss_xmm_xmm_xmmm32
        | VEX_Vsubpd_xmm_xmm_xmmm128
        | VEX_Vsubps_xmm_xmm_xmmm128
        | VEX_Vsubsd_xmm_xmm_xmmm64
        | VEX_Vsubss_xmm_xmm_xmmm32
        | VEX_Vunpckhps_xmm_xmm_xmmm128
        | VEX_Vunpcklpd_xmm_xmm_xmmm128
        | VEX_Vunpcklps_xmm_xmm_xmmm128
        | VEX_Vxorpd_xmm_xmm_xmmm128
        | VEX_Vxorps_xmm_xmm_xmmm128 => Kind::Vector,
        _ => return None,
    })
}
