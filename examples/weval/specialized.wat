(module
  (type (;0;) (func (param i32 i64) (result i64)))
  (type (;1;) (func (param i32 i32 i32 i32) (result i32)))
  (type (;2;) (func (param i64 i64)))
  (type (;3;) (func (param i32)))
  (type (;4;) (func (param i64) (result i64)))
  (type (;5;) (func (param i32 i32 i32) (result i32)))
  (type (;6;) (func))
  (type (;7;) (func (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func (;0;) (type 1) (param i32 i32 i32 i32) (result i32)))
  (table (;0;) 3 3 funcref)
  (memory (;0;) 2)
  (global (;0;) (mut i32) i32.const 65536)
  (global (;1;) (mut i64) i64.const 0)
  (global (;2;) (mut i64) i64.const 0)
  (export "memory" (memory 0))
  (export "weval.pending.head" (func 1))
  (export "weval.is.wevaled" (func 2))
  (export "_start" (func 3))
  (elem (;0;) (table 0) (i32.const 1) func 4)
  (elem (;1;) (table 0) (i32.const 2) func 5)
  (func (;1;) (type 7) (result i32)
    i32.const 65536
  )
  (func (;2;) (type 7) (result i32)
    i32.const 65936
  )
  (func (;3;) (type 6)
    (local i32 i32 i64 i64 i32)
    global.get 0
    i32.const 16
    i32.sub
    local.tee 0
    global.set 0
    i32.const 0
    i32.const 10
    i32.store8 offset=65975
    i32.const 65975
    local.set 1
    block ;; label = @1
      i32.const 65592
      i64.const 300000
      i32.const 0
      i32.load offset=65976
      call_indirect (type 0)
      local.tee 2
      i64.eqz
      br_if 0 (;@1;)
      loop ;; label = @2
        local.get 1
        i32.const -1
        i32.add
        local.tee 1
        local.get 2
        local.get 2
        i64.const 10
        i64.div_u
        local.tee 3
        i64.const 10
        i64.mul
        i64.sub
        i32.wrap_i64
        i32.const 48
        i32.or
        i32.store8
        local.get 2
        i64.const 10
        i64.lt_u
        local.set 4
        local.get 3
        local.set 2
        local.get 4
        i32.eqz
        br_if 0 (;@2;)
      end
    end
    local.get 0
    local.get 1
    i32.store offset=8
    local.get 0
    i32.const 65976
    local.get 1
    i32.sub
    i32.store offset=12
    i32.const 1
    local.get 0
    i32.const 8
    i32.add
    i32.const 1
    local.get 0
    i32.const 4
    i32.add
    call 0
    drop
    local.get 0
    i32.const 16
    i32.add
    global.set 0
  )
  (func (;4;) (type 0) (param i32 i64) (result i64)
    (local i32 i32 i32 i32 i64)
    i64.const 0
    local.get 1
    unreachable
    i64.const 1
    i64.const 0
    unreachable
    i64.const 2
    i64.const 0
    unreachable
    i64.const 3
    i64.const 0
    unreachable
    i32.const 0
    drop
    i32.const 16
    local.set 2
    i32.const 0
    local.set 3
    block ;; label = @1
      loop ;; label = @2
        local.get 3
        i32.const 1
        i32.add
        local.set 4
        local.get 0
        local.get 3
        i32.const 3
        i32.shl
        i32.add
        local.tee 5
        i32.load offset=4
        local.set 3
        block ;; label = @3
          block ;; label = @4
            block ;; label = @5
              block ;; label = @6
                block ;; label = @7
                  block ;; label = @8
                    block ;; label = @9
                      block ;; label = @10
                        block ;; label = @11
                          block ;; label = @12
                            block ;; label = @13
                              block ;; label = @14
                                local.get 5
                                i32.load
                                br_table 0 (;@14;) 1 (;@13;) 9 (;@5;) 2 (;@12;) 3 (;@11;) 4 (;@10;) 5 (;@9;) 6 (;@8;) 11 (;@3;) 7 (;@7;) 13 (;@1;) 8 (;@6;)
                              end
                              local.get 2
                              i64.extend_i32_u
                              local.get 3
                              i64.extend_i32_u
                              unreachable
                              local.get 2
                              i32.const 1
                              i32.add
                              local.set 2
                              br 9 (;@4;)
                            end
                            local.get 2
                            i64.extend_i32_u
                            local.get 3
                            i64.extend_i32_u
                            unreachable
                            unreachable
                            local.get 2
                            i32.const 1
                            i32.add
                            local.set 2
                            br 8 (;@4;)
                          end
                          local.get 2
                          i32.const -2
                          i32.add
                          i64.extend_i32_u
                          local.set 1
                          local.get 1
                          local.get 2
                          i32.const -1
                          i32.add
                          local.tee 2
                          i64.extend_i32_u
                          unreachable
                          local.get 1
                          unreachable
                          i64.add
                          unreachable
                          br 7 (;@4;)
                        end
                        local.get 2
                        i32.const -2
                        i32.add
                        i64.extend_i32_u
                        local.set 1
                        local.get 1
                        local.get 2
                        i32.const -1
                        i32.add
                        local.tee 2
                        i64.extend_i32_u
                        unreachable
                        local.get 1
                        unreachable
                        i64.mul
                        unreachable
                        br 6 (;@4;)
                      end
                      local.get 2
                      i32.const -2
                      i32.add
                      i64.extend_i32_u
                      local.set 1
                      local.get 2
                      i32.const -1
                      i32.add
                      local.tee 2
                      i64.extend_i32_u
                      unreachable
                      local.set 6
                      local.get 1
                      local.get 1
                      unreachable
                      local.get 6
                      i64.shr_u
                      unreachable
                      br 5 (;@4;)
                    end
                    local.get 2
                    i32.const -2
                    i32.add
                    i64.extend_i32_u
                    local.set 1
                    local.get 1
                    local.get 2
                    i32.const -1
                    i32.add
                    local.tee 2
                    i64.extend_i32_u
                    unreachable
                    local.get 1
                    unreachable
                    i64.and
                    unreachable
                    br 4 (;@4;)
                  end
                  local.get 2
                  i32.const -2
                  i32.add
                  i64.extend_i32_u
                  local.set 1
                  local.get 2
                  i32.const -1
                  i32.add
                  local.tee 2
                  i64.extend_i32_u
                  unreachable
                  local.set 6
                  local.get 1
                  local.get 1
                  unreachable
                  local.get 6
                  i64.lt_u
                  i64.extend_i32_u
                  unreachable
                  br 3 (;@4;)
                end
                local.get 3
                local.get 4
                local.get 2
                i32.const -1
                i32.add
                local.tee 2
                i64.extend_i32_u
                unreachable
                i64.eqz
                i32.const 0
                i32.const 1
                drop
                drop
                select
                local.tee 3
                drop
                br 4 (;@2;)
              end
              unreachable
            end
            local.get 3
            i64.extend_i32_u
            local.get 2
            i32.const -1
            i32.add
            local.tee 2
            i64.extend_i32_u
            unreachable
            unreachable
          end
          local.get 4
          local.set 3
        end
        local.get 3
        drop
        br 0 (;@2;)
      end
    end
    local.get 2
    i32.const -1
    i32.add
    i64.extend_i32_u
    unreachable
  )
  (func (;5;) (type 0) (param i32 i64) (result i64)
    (local i64 i64 i64 i64 i64 i64 i32)
    i64.const 1
    i64.const 0
    local.set 2
    local.set 5
    loop ;; label = @1
      block ;; label = @2
        block ;; label = @3
          local.get 5
          local.get 1
          i64.lt_u
          i64.extend_i32_u
          i64.eqz
          local.set 8
          block ;; label = @4
            block ;; label = @5
              local.get 8
              br_table 0 (;@5;) 1 (;@4;)
            end
            br 1 (;@3;)
          end
          br 1 (;@2;)
        end
        local.get 5
        local.get 2
        local.set 4
        local.set 7
        loop ;; label = @3
          block ;; label = @4
            block ;; label = @5
              i64.const 1
              local.get 7
              i64.lt_u
              i64.extend_i32_u
              i64.eqz
              local.set 8
              block ;; label = @6
                block ;; label = @7
                  local.get 8
                  br_table 0 (;@7;) 1 (;@6;)
                end
                br 1 (;@5;)
              end
              br 1 (;@4;)
            end
            i64.const 1
            local.get 4
            i64.add
            local.set 6
            block ;; label = @5
              block ;; label = @6
                i64.const 1
                local.get 7
                i64.and
                i64.eqz
                local.set 8
                block ;; label = @7
                  block ;; label = @8
                    local.get 8
                    br_table 0 (;@8;) 1 (;@7;)
                  end
                  br 1 (;@6;)
                end
                br 1 (;@5;)
              end
              i64.const 1
              i64.const 3
              local.get 7
              i64.mul
              i64.add
              local.set 3
              local.get 3
              local.get 6
              local.set 4
              local.set 7
              br 2 (;@3;)
            end
            local.get 7
            i64.const 1
            i64.shr_u
            local.set 3
            local.get 3
            local.get 6
            local.set 4
            local.set 7
            br 1 (;@3;)
          end
          i64.const 1
          local.get 5
          i64.add
          local.set 3
          local.get 3
          local.get 4
          local.set 2
          local.set 5
          br 2 (;@1;)
        end
      end
      local.get 2
      return
    end
    unreachable
  )
  (data (;0;) (i32.const 65548) "\01")
  (data (;1;) (i32.const 65556) "\01\00\00\00(\00\01\00`\01\00\00\b8\01\01")
  (data (;2;) (i32.const 65576) "\01\00\00\00\04\00\00\00@\01\00\00@\01")
  (data (;3;) (i32.const 65596) "\01\00\00\00\02\00\00\00\01\00\00\00\01\00\00\00\01\00\00\00\01")
  (data (;4;) (i32.const 65624) "\07")
  (data (;5;) (i32.const 65632) "\09\00\00\00\22\00\00\00\01\00\00\00\01\00\00\00\02\00\00\00\02")
  (data (;6;) (i32.const 65660) "\01\00\00\00\01\00\00\00\02\00\00\00\07")
  (data (;7;) (i32.const 65680) "\09\00\00\00\1d\00\00\00\01\00\00\00\03")
  (data (;8;) (i32.const 65700) "\01\00\00\00\03")
  (data (;9;) (i32.const 65712) "\02\00\00\00\03\00\00\00\01\00\00\00\02")
  (data (;10;) (i32.const 65732) "\01\00\00\00\06")
  (data (;11;) (i32.const 65744) "\09\00\00\00\18\00\00\00\01\00\00\00\02")
  (data (;12;) (i32.const 65764) "\03\00\00\00\04")
  (data (;13;) (i32.const 65776) "\08\00\00\00$\00\00\00\01\00\00\00\02")
  (data (;14;) (i32.const 65796) "\01\00\00\00\05")
  (data (;15;) (i32.const 65808) "\02\00\00\00\02\00\00\00\08\00\00\00\08\00\00\00\01\00\00\00\01")
  (data (;16;) (i32.const 65836) "\01\00\00\00\03")
  (data (;17;) (i32.const 65848) "\02\00\00\00\01\00\00\00\08\00\00\00\02\00\00\00\01\00\00\00\03\00\00\00\0a")
  (data (;18;) (i32.const 65884) "\01\00\00\00\03")
  (data (;19;) (i32.const 65896) "\02\00\00\00\02\00\00\00\08\00\00\00\08")
  (data (;20;) (i32.const 65916) "\ff")
  (data (;21;) (i32.const 65936) "\01")
  (data (;22;) (i32.const 65976) "\02")
)
