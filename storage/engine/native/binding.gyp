# The native engine and, as a library of its own, RocksDB from the sources in the npm package `rocksdb`. build.cjs passes the
# variables:
#   rocksdb        the folder of RocksDB's sources, seen from here
#   rocksdb_units  the files that include them, see there
{
  'variables': { 'rocksdb%': '../../../node_modules/rocksdb/deps/rocksdb', 'rocksdb_units%': '' },
  'target_defaults': {
    'include_dirs': ['<(rocksdb)/rocksdb/include'],
    'cflags_cc!': ['-fno-rtti', '-fno-exceptions', '-std=gnu++20'],
    'cflags_cc': ['-std=c++17', '-O2', '-fvisibility=hidden'],
    # What the headers look like depends on these: both targets have them.
    'defines': ['NDEBUG', 'ROCKSDB_PLATFORM_POSIX=1', 'ROCKSDB_LIB_IO_POSIX=1', 'ROCKSDB_SUPPORT_THREAD_LOCAL=1',
      'NPERF_CONTEXT=1', 'NIOSTATS_CONTEXT=1'],
    'conditions': [
      ['OS=="linux"', { 'defines': ['OS_LINUX=1'] }],
      ['OS=="mac"', { 'defines': ['OS_MACOSX=1'] }],
    ],
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
      'GCC_ENABLE_CPP_RTTI': 'YES',
      'GCC_ENABLE_CPP_EXCEPTIONS': 'YES',
      'MACOSX_DEPLOYMENT_TARGET': '10.15',
    },
  },
  'targets': [
    {
      'target_name': 'rocksdb',
      'type': 'static_library',
      'sources': ['<@(rocksdb_units)'],
      'include_dirs': ['<(rocksdb)/rocksdb'],
      'cflags_cc': ['-fno-builtin-memcmp', '-w'],
      'conditions': [
        # Checksums by the processor, which every x64 has had since 2010.
        ['target_arch=="x64"', {
          'defines': ['HAVE_SSE42=1', 'HAVE_PCLMUL=1'],
          'cflags_cc': ['-msse4.2', '-mpclmul'],
        }],
      ],
    },
    {
      'target_name': 'engine',
      'sources': ['ahead.cc', 'binding.cc', 'block_memory.cc', 'cursor.cc', 'log_check.cc', 'store.cc', 'writer.cc'],
      'dependencies': ['rocksdb'],
      'defines': ['NAPI_VERSION=8'],
      'cflags_cc': ['-Wall', '-Wno-deprecated-declarations'],
    },
  ],
}
