# The socket pump: Node-API and libuv, nothing else.
{
  'targets': [{
    'target_name': 'pump',
    'sources': ['pump.cc'],
    'defines': ['NAPI_VERSION=8'],
    'cflags_cc!': ['-std=gnu++20'],
    'cflags_cc': ['-std=c++17', '-O2', '-Wall'],
    'xcode_settings': { 'CLANG_CXX_LANGUAGE_STANDARD': 'c++17', 'MACOSX_DEPLOYMENT_TARGET': '10.15' },
  }],
}
