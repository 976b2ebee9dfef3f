{
  "variables": {
    # 1: leave the fork engine out, as on musl and macOS: node-gyp rebuild -- -Dwithout_fork=1
    "without_fork%": 0,
  },
  "target_defaults": {
    "cflags_cc": ["-std=c++17", "-Wall", "-Wextra", "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden"],
    # No symbol is looked up in the frozen window: the dynamic linker has locks of its own.
    "conditions": [["OS=='linux'", {"ldflags": ["-Wl,-z,now"]}]],
    "include_dirs": ["<!@(node -p \"require('node-addon-api').include_dir\")", "native"],
    # Node-API 8 is in every Node 20: one binary serves 20, 22, 24 and 26.
    "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED"],
    "xcode_settings": {
      "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
      "MACOSX_DEPLOYMENT_TARGET": "11.0",
    },
  },
  "targets": [
    {
      "target_name": "doublefork",
      "sources": [
        "native/addon.cc",
        "native/base/failure.cc",
        "native/base/message.cc",
        "native/confine/confinement.cc",
        "native/detach/activity.cc",
        "native/detach/handles.cc",
        "native/detach/inventory.cc",
        "native/detach/launcher.cc",
        "native/detach/program.cc",
        "native/exec/binding.cc",
        "native/exec/exec.cc",
        "native/syscalls/attribute.cc",
        "native/syscalls/descriptor.cc",
        "native/syscalls/identity.cc",
        "native/syscalls/limits.cc",
        "native/syscalls/lock.cc",
        "native/syscalls/process.cc",
        "native/syscalls/signal.cc",
        "native/syscalls/watch.cc",
        "native/syscalls/socket.cc",
        "native/supervise/inbox.cc",
      ],
      "conditions": [
        ["OS=='linux' and (target_arch=='x64' or target_arch=='arm64') and without_fork==0", {
          "sources": [
            "native/fork/binding.cc",
            "native/fork/descriptor_table.cc",
            "native/fork/fork.cc",
            "native/fork/freeze.cc",
            "native/fork/handshake.cc",
            "native/fork/heap.cc",
            "native/fork/holder.cc",
            "native/fork/move.cc",
            "native/fork/owned_locks.cc",
            "native/fork/prefault.cc",
            "native/fork/proc.cc",
            "native/fork/quiescence.cc",
            "native/fork/restart.cc",
            "native/fork/revive.cc",
            "native/fork/rings.cc",
            "native/fork/separate.cc",
            "native/fork/stop_signal.cc",
            "native/fork/support.cc",
            "native/fork/threads.cc",
          ],
        }, {
          "sources": ["native/fork/unsupported.cc"],
        }],
      ],
    },
    {
      # A program of its own, see native/logger/main.cc. It needs libc alone.
      "target_name": "doublefork-logger",
      "type": "executable",
      "sources": [
        "native/logger/archive.cc",
        "native/logger/birth.cc",
        "native/logger/destination.cc",
        "native/logger/format.cc",
        "native/logger/journal.cc",
        "native/logger/json.cc",
        "native/logger/log.cc",
        "native/logger/main.cc",
        "native/logger/messages.cc",
        "native/logger/ring.cc",
        "native/logger/severity.cc",
        "native/logger/syslog.cc",
        "native/logger/turn.cc",
      ],
    },
  ],
}
