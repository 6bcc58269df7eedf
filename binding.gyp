{
  # A thin way in for node-gyp: CMakeLists.txt is the only build truth, and this hands over to it.
  "targets": [
    {
      "target_name": "tokenlearner",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "message": "Building with CMake",
          "inputs": ["<!@(node -p \"require('node:fs').readdirSync('native', { recursive: true, withFileTypes: true }).filter((f) => f.isFile()).map((f) => require('node:path').posix.join(f.parentPath ?? f.path, f.name)).join(' ')\")", "CMakeLists.txt"],
          "outputs": ["<(module_root_dir)/build/Release/tokenlearner.node"],
          "action": ["node", "<(module_root_dir)/scripts/build-native.mjs"]
        }
      ]
    }
  ]
}
