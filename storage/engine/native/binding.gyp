# The native engine over the RocksDB of the npm package `rocksdb`. build.cjs passes the variables:
#   rocksdb_root     the package's folder, seen from here
#   rocksdb_library  the package's prebuilt library, or empty: then its sources are compiled and linked (some minutes)
#   cxx11_abi        0 or 1: which std::string the prebuilt library was compiled with
{
  'variables': { 'rocksdb_root%': '../../../node_modules/rocksdb', 'rocksdb_library%': '', 'cxx11_abi%': '1' },
  'targets': [{
    'target_name': 'engine',
    'sources': ['ahead.cc', 'binding.cc', 'cursor.cc', 'log_check.cc', 'store.cc', 'writer.cc'],
    'include_dirs': ['<(rocksdb_root)/deps/rocksdb/rocksdb/include'],
    'defines': ['NAPI_VERSION=8'],
    'cflags_cc!': ['-fno-rtti', '-fno-exceptions', '-std=gnu++20'],
    'cflags_cc': ['-std=c++17', '-O2', '-Wall', '-Wno-deprecated-declarations'],
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
      'GCC_ENABLE_CPP_RTTI': 'YES',
      'GCC_ENABLE_CPP_EXCEPTIONS': 'YES',
      'MACOSX_DEPLOYMENT_TARGET': '10.15',
    },
    'conditions': [
      ['rocksdb_library!=""', {
        'defines!': ['_GLIBCXX_USE_CXX11_ABI=1'],
        'defines': ['_GLIBCXX_USE_CXX11_ABI=<(cxx11_abi)'],
        'libraries': ['-L<(rocksdb_library)', '-l:leveldown.node', "-Wl,-rpath,'$$ORIGIN'"],
      }, {
        'dependencies': ['<(rocksdb_root)/deps/rocksdb/rocksdb.gyp:rocksdb'],
      }],
    ],
  }],
}
