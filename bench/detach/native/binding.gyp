{
  "targets": [
    {
      "target_name": "clones",
      "sources": ["clones.cc"],
      "cflags_cc": ["-std=c++17", "-Wall", "-Wextra"],
      "defines": ["NAPI_VERSION=8"],
    },
  ],
}
