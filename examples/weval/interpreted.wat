(module
  (type (;0;) (func (param i32 i32 i32 i32) (result i32)))
  (type (;1;) (func))
  (import "wasi_snapshot_preview1" "fd_write" (func (;0;) (type 0) (param i32 i32 i32 i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 2)
  (global (;0;) (mut i32) i32.const 65536)
  (export "memory" (memory 0))
  (export "_start" (func 1))
  (func (;1;) (type 1)
    (local i32 i32 i32 i32 i32 i64 i64)
    global.get 0
    i32.const 16
    i32.sub
    local.tee 0
    global.set 0
    i32.const 0
    local.set 1
    i32.const 0
    i64.const 0
    i64.store offset=65912
    i32.const 0
    i64.const 0
    i64.store offset=65904
    i32.const 0
    i64.const 0
    i64.store offset=65896
    i32.const 0
    i64.const 300000
    i64.store offset=65888
    i32.const 0
    i32.const 10
    i32.store8 offset=65879
    i32.const 16
    local.set 2
    loop ;; label = @1
      local.get 1
      i32.const 1
      i32.add
      local.set 3
      local.get 1
      i32.const 3
      i32.shl
      local.tee 4
      i32.load offset=65540
      local.set 1
      block ;; label = @2
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
                              local.get 4
                              i32.load offset=65536
                              br_table 0 (;@13;) 1 (;@12;) 2 (;@11;) 3 (;@10;) 4 (;@9;) 5 (;@8;) 6 (;@7;) 7 (;@6;) 12 (;@1;) 8 (;@5;) 10 (;@3;) 9 (;@4;)
                            end
                            local.get 2
                            i32.const 3
                            i32.shl
                            local.get 1
                            i64.extend_i32_u
                            i64.store offset=65888
                            br 10 (;@2;)
                          end
                          local.get 2
                          i32.const 3
                          i32.shl
                          local.get 1
                          i32.const 3
                          i32.shl
                          i64.load offset=65888
                          i64.store offset=65888
                          br 9 (;@2;)
                        end
                        local.get 1
                        i32.const 3
                        i32.shl
                        local.get 2
                        i32.const -1
                        i32.add
                        local.tee 2
                        i32.const 3
                        i32.shl
                        i64.load offset=65888
                        i64.store offset=65888
                        local.get 3
                        local.set 1
                        br 9 (;@1;)
                      end
                      local.get 2
                      i32.const 3
                      i32.shl
                      i32.const 65872
                      i32.add
                      local.tee 1
                      local.get 1
                      i64.load
                      local.get 2
                      i32.const -1
                      i32.add
                      local.tee 1
                      i32.const 3
                      i32.shl
                      i64.load offset=65888
                      i64.add
                      i64.store
                      local.get 1
                      local.set 2
                      local.get 3
                      local.set 1
                      br 8 (;@1;)
                    end
                    local.get 2
                    i32.const 3
                    i32.shl
                    i32.const 65872
                    i32.add
                    local.tee 1
                    local.get 1
                    i64.load
                    local.get 2
                    i32.const -1
                    i32.add
                    local.tee 1
                    i32.const 3
                    i32.shl
                    i64.load offset=65888
                    i64.mul
                    i64.store
                    local.get 1
                    local.set 2
                    local.get 3
                    local.set 1
                    br 7 (;@1;)
                  end
                  local.get 2
                  i32.const 3
                  i32.shl
                  i32.const 65872
                  i32.add
                  local.tee 1
                  local.get 1
                  i64.load
                  local.get 2
                  i32.const -1
                  i32.add
                  local.tee 1
                  i32.const 3
                  i32.shl
                  i64.load offset=65888
                  i64.shr_u
                  i64.store
                  local.get 1
                  local.set 2
                  local.get 3
                  local.set 1
                  br 6 (;@1;)
                end
                local.get 2
                i32.const 3
                i32.shl
                i32.const 65872
                i32.add
                local.tee 1
                local.get 1
                i64.load
                local.get 2
                i32.const -1
                i32.add
                local.tee 1
                i32.const 3
                i32.shl
                i64.load offset=65888
                i64.and
                i64.store
                local.get 1
                local.set 2
                local.get 3
                local.set 1
                br 5 (;@1;)
              end
              local.get 2
              i32.const 3
              i32.shl
              i32.const 65872
              i32.add
              local.tee 1
              local.get 1
              i64.load
              local.get 2
              i32.const -1
              i32.add
              local.tee 1
              i32.const 3
              i32.shl
              i64.load offset=65888
              i64.lt_u
              i64.extend_i32_u
              i64.store
              local.get 1
              local.set 2
              local.get 3
              local.set 1
              br 4 (;@1;)
            end
            local.get 1
            local.get 3
            local.get 2
            i32.const -1
            i32.add
            local.tee 2
            i32.const 3
            i32.shl
            i64.load offset=65888
            i64.eqz
            select
            local.set 1
            br 3 (;@1;)
          end
          unreachable
        end
        i32.const 65879
        local.set 1
        block ;; label = @3
          local.get 2
          i32.const 3
          i32.shl
          i32.const 65880
          i32.add
          i64.load
          local.tee 5
          i64.eqz
          br_if 0 (;@3;)
          loop ;; label = @4
            local.get 1
            i32.const -1
            i32.add
            local.tee 1
            local.get 5
            local.get 5
            i64.const 10
            i64.div_u
            local.tee 6
            i64.const 10
            i64.mul
            i64.sub
            i32.wrap_i64
            i32.const 48
            i32.or
            i32.store8
            local.get 5
            i64.const 10
            i64.lt_u
            local.set 2
            local.get 6
            local.set 5
            local.get 2
            i32.eqz
            br_if 0 (;@4;)
          end
        end
        local.get 0
        local.get 1
        i32.store offset=8
        local.get 0
        i32.const 65880
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
        return
      end
      local.get 2
      i32.const 1
      i32.add
      local.set 2
      local.get 3
      local.set 1
      br 0 (;@1;)
    end
  )
  (data (;0;) (i32.const 65536) "\00\00\00\00\01\00\00\00\02\00\00\00\01\00\00\00\01\00\00\00\01\00\00\00\01\00\00\00\00\00\00\00\07\00\00\00\00\00\00\00\09\00\00\00\22\00\00\00\01\00\00\00\01\00\00\00\02\00\00\00\02\00\00\00\00\00\00\00\01\00\00\00\01\00\00\00\02\00\00\00\07\00\00\00\00\00\00\00\09\00\00\00\1d\00\00\00\01\00\00\00\03\00\00\00\00\00\00\00\01\00\00\00\03\00\00\00\00\00\00\00\02\00\00\00\03\00\00\00\01\00\00\00\02\00\00\00\00\00\00\00\01\00\00\00\06\00\00\00\00\00\00\00\09\00\00\00\18\00\00\00\01\00\00\00\02\00\00\00\00\00\00\00\03\00\00\00\04\00\00\00\00\00\00\00\08\00\00\00$\00\00\00\01\00\00\00\02\00\00\00\00\00\00\00\01\00\00\00\05\00\00\00\00\00\00\00\02\00\00\00\02\00\00\00\08\00\00\00\08\00\00\00\01\00\00\00\01\00\00\00\00\00\00\00\01\00\00\00\03\00\00\00\00\00\00\00\02\00\00\00\01\00\00\00\08\00\00\00\02\00\00\00\01\00\00\00\03\00\00\00\0a\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\03\00\00\00\00\00\00\00\02\00\00\00\02\00\00\00\08\00\00\00\08\00\00\00")
)
